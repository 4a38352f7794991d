package data

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// records gives the records of a file one by one as JSON objects, io.EOF after
// the last one. The bytes are valid until the next call.
type records interface {
	next() (recordBytes, error)
}

// openRecords finds out what a file is written in: JSON Lines, a JSON array,
// YAML, or CSV with a head. YAML and CSV may begin with lines of comment (#).
func openRecords(in *input, max int) (records, error) {
	head, err := in.Peek(peekSize)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, gzipError(err)
	}
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
			continue
		case line[0] == '{' || line[0] == '[':
			return newSplitter(in, max)
		case opensYAML.Match(line):
			return newYAML(in, max)
		}
		if comma, ok := separator(line); ok {
			return newCSV(in, max, comma), nil
		}
		break
	}
	return newSplitter(in, max) // which says what is wrong
}

// opensYAML matches the first line of a list of facts, or of a mapping that holds
// one.
var opensYAML = regexp.MustCompile(`^(---|-|- .*|[A-Za-z_]+:|[A-Za-z_]+: .*)$`)

// separator is what parts the cells of a line that is the head of a table: one
// that names a prompt among other columns.
func separator(line []byte) (rune, bool) {
	for _, comma := range ",;\t" {
		cells := strings.Split(string(line), string(comma))
		for i := range cells {
			cells[i] = strings.ToLower(strings.Trim(cells[i], " \"\r"))
		}
		if len(cells) > 1 && slices.ContainsFunc(cells, func(c string) bool { return factKeys()[c] != "" }) {
			return comma, true
		}
	}
	return 0, false
}

// listed are records that were read all at once.
type listed struct{ list []recordBytes }

func (l *listed) next() (recordBytes, error) {
	if len(l.list) == 0 {
		return recordBytes{}, io.EOF
	}
	r := l.list[0]
	l.list = l.list[1:]
	return r, nil
}

// newYAML reads a list of mappings, or a mapping whose only value is one. max is
// the most bytes of the file.
func newYAML(in *input, max int) (records, error) {
	text, err := io.ReadAll(io.LimitReader(in, int64(max)+1))
	if err != nil {
		return nil, gzipError(err)
	}
	if len(text) > max {
		return nil, fmt.Errorf("the YAML is longer than %d bytes; write JSON Lines, which is read piece by piece", max)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("not valid YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return &listed{}, nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.MappingNode && len(root.Content) == 2 && root.Content[1].Kind == yaml.SequenceNode {
		root = root.Content[1]
	}
	if root.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: want a list of facts, each beginning with a dash: - prompt: …", root.Line)
	}
	l := &listed{}
	for _, n := range root.Content {
		r := recordBytes{line: n.Line}
		raw, err := yamlJSON(n)
		if err != nil {
			r.problem = err.Error()
		} else {
			r.raw = raw
		}
		l.list = append(l.list, r)
	}
	return l, nil
}

// yamlJSON writes a node as JSON. Scalars are the texts that were written: a
// target of 1889 or "no" is no number and no boolean.
func yamlJSON(n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return []byte("null"), nil
		}
		return json.Marshal(n.Value)
	case yaml.SequenceNode, yaml.MappingNode:
	default:
		return nil, fmt.Errorf("line %d: an alias (*name) is not read here; write the value out", n.Line)
	}
	open, shut := byte('['), byte(']')
	if n.Kind == yaml.MappingNode {
		open, shut = '{', '}'
	}
	out := []byte{open}
	for i, c := range n.Content {
		raw, err := yamlJSON(c)
		if err != nil {
			return nil, err
		}
		key := n.Kind == yaml.MappingNode && i%2 == 0
		switch {
		case key && c.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: a key is no plain name", c.Line)
		case n.Kind == yaml.MappingNode && i%2 == 1:
			out = append(out, ':')
		case i > 0:
			out = append(out, ',')
		}
		if key {
			if raw, err = json.Marshal(c.Value); err != nil {
				return nil, err
			}
		}
		out = append(out, raw...)
	}
	return append(out, shut), nil
}

// cellList parts the texts of a list in a cell of a table.
const cellList = "|"

// csvRecords reads a table whose first line names the columns.
type csvRecords struct {
	r    *csv.Reader
	head []string
	max  int
}

func newCSV(in *input, max int, comma rune) *csvRecords {
	r := csv.NewReader(in)
	r.Comma, r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = comma, '#', true, -1
	return &csvRecords{r: r, max: max}
}

func (c *csvRecords) next() (recordBytes, error) {
	if c.head == nil {
		head, err := c.r.Read()
		if err != nil {
			return recordBytes{}, csvError(err)
		}
		for _, name := range head {
			c.head = append(c.head, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	cells, err := c.r.Read()
	if err != nil {
		return recordBytes{}, csvError(err)
	}
	line, _ := c.r.FieldPos(0)
	if len(cells) != len(c.head) {
		return recordBytes{line: line, problem: fmt.Sprintf("it has %d cells, the head has %d; put a text that holds a %q into double quotes", len(cells), len(c.head), c.r.Comma)}, nil
	}
	row := map[string]any{}
	size := 0
	for i, name := range c.head {
		text := strings.TrimSpace(cells[i])
		size += len(text)
		if text == "" {
			continue
		}
		var value any = text
		if list := factKeys()[name]; list == keyParaphrases || list == keyNeighbours || list == keyTrue {
			parts := strings.Split(text, cellList)
			if old, ok := row[name].([]string); ok { // a column that is there twice
				parts = append(old, parts...)
			}
			value = parts
		} else if row[name] != nil {
			return recordBytes{line: line, problem: fmt.Sprintf("two columns are called %q", name)}, nil
		}
		row[name] = value
	}
	if size > c.max {
		return recordBytes{line: line, problem: fmt.Sprintf("longer than %d bytes", c.max)}, nil
	}
	raw, err := json.Marshal(row)
	return recordBytes{raw: raw, line: line}, err
}

func csvError(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &parse):
		return fmt.Errorf("line %d: %w", parse.StartLine, parse.Err)
	}
	return gzipError(err)
}
