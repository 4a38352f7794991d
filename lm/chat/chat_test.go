package chat

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestGoldenTemplates compares with Jinja2.
func TestGoldenTemplates(t *testing.T) {
	data, err := os.ReadFile("testdata/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Template string
		Messages       []Message
		Answer         bool
		Text, Error    *string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 30 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		p, err := Parse(c.Template, "<s>", "</s>")
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		got, err := p.Render(c.Messages, c.Answer)
		switch {
		case c.Error != nil:
			if err == nil || !strings.Contains(err.Error(), *c.Error) {
				t.Errorf("%s: %q, %v, want the error %q", c.Name, got, err, *c.Error)
			}
		case err != nil || got != *c.Text:
			t.Errorf("%s, %v:\n got %q, %v\nwant %q", c.Name, c.Messages, got, err, *c.Text)
		}
	}
}

func TestParse_and_Render_refuse(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"{% for m in messages %}", "chat template"},
		{"{{ raise_exception('no') }}", "no"},
		{"{% include '/etc/passwd' %}", "/etc/passwd"},
		{"{% for i in range(10**9) %}x{% endfor %}", "range of more"},
		{"{% for i in range(60000) %}{% for j in range(60000) %}{% endfor %}{% endfor %}", "computes too much"},
		{"{% for i in range(60000) %}{{ messages[0].content * 100 }}{% endfor %}", "writes more than"},
	} {
		p, err := Parse(c.template, "", "")
		if err == nil {
			_, err = p.Ask("What is it?")
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.template, err, c.want)
		}
	}
}
