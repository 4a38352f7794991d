package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// component is any normalizer, pre-tokenizer, post-processor or decoder of a
// tokenizer.json: its type and the union of the fields.
type component struct {
	Type string `json:"type"`

	Normalizers   []json.RawMessage `json:"normalizers"`
	PreTokenizers []json.RawMessage `json:"pretokenizers"`
	Processors    []json.RawMessage `json:"processors"`
	Decoders      []json.RawMessage `json:"decoders"`

	Prepend   string   `json:"prepend"`
	Pattern   *pattern `json:"pattern"`
	Content   string   `json:"content"`
	CleanText *bool    `json:"clean_text"`
	Chinese   *bool    `json:"handle_chinese_chars"`
	Accents   *bool    `json:"strip_accents"`
	Lowercase *bool    `json:"lowercase"`

	AddPrefixSpace   *bool  `json:"add_prefix_space"`
	UseRegex         *bool  `json:"use_regex"`
	Behavior         string `json:"behavior"`
	Invert           bool   `json:"invert"`
	IndividualDigits bool   `json:"individual_digits"`
	Replacement      string `json:"replacement"`
	PrependScheme    string `json:"prepend_scheme"`
	Split            *bool  `json:"split"`

	Single        []templatePiece            `json:"single"`
	SpecialTokens map[string]templateSpecial `json:"special_tokens"`
	Sep           json.RawMessage            `json:"sep"`
	Cls           json.RawMessage            `json:"cls"`

	Prefix  string `json:"prefix"`
	Cleanup *bool  `json:"cleanup"`
	Start   int    `json:"start"`
	Stop    int    `json:"stop"`
}

type pattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

type templatePiece struct {
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken"`
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence"`
}

type templateSpecial struct {
	IDs []int32 `json:"ids"`
}

// or returns the value of an optional field.
func or(field *bool, missing bool) bool {
	if field == nil {
		return missing
	}
	return *field
}

// parseComponent returns nil for null and for a missing component.
func parseComponent(raw json.RawMessage) (*component, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var c component
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// mostGrowth bounds how much longer all Replace parts together may make a
// text, so that a hostile file cannot have a short text fill the memory.
const mostGrowth = 1 << 10

// growth returns a bound for that.
func growth(raw json.RawMessage) float64 {
	c, err := parseComponent(raw)
	if c == nil || err != nil {
		return 1
	}
	g := 1.0
	for _, part := range append(c.Normalizers, c.Decoders...) {
		g *= growth(part)
	}
	if c.Type == "Replace" && c.Pattern != nil && c.Pattern.String != nil {
		g *= max(1, float64(len(c.Content))/float64(max(1, len(*c.Pattern.String))))
	}
	return g
}

func (c *component) unknown(known string) error {
	return fmt.Errorf("type %q is not supported (want %s)", c.Type, known)
}

func parseNormalizer(raw json.RawMessage) ([]normalizer, error) {
	c, err := parseComponent(raw)
	if c == nil || err != nil {
		return nil, err
	}
	switch c.Type {
	case "Sequence":
		var all []normalizer
		for i, part := range c.Normalizers {
			list, err := parseNormalizer(part)
			if err != nil {
				return nil, fmt.Errorf("part %d: %w", i, err)
			}
			all = append(all, list...)
		}
		return all, nil
	case "NFC":
		return []normalizer{unicodeForm(norm.NFC)}, nil
	case "NFD":
		return []normalizer{unicodeForm(norm.NFD)}, nil
	case "NFKC":
		return []normalizer{unicodeForm(norm.NFKC)}, nil
	case "NFKD":
		return []normalizer{unicodeForm(norm.NFKD)}, nil
	case "Lowercase":
		return []normalizer{lowercase()}, nil
	case "StripAccents":
		return []normalizer{stripAccents()}, nil
	case "Prepend":
		return []normalizer{prepend(c.Prepend)}, nil
	case "Replace":
		if c.Pattern == nil || c.Pattern.String == nil || *c.Pattern.String == "" {
			return nil, fmt.Errorf("type Replace needs a pattern of type String")
		}
		return []normalizer{replace(*c.Pattern.String, c.Content)}, nil
	case "BertNormalizer":
		var all []normalizer
		if or(c.CleanText, true) {
			all = append(all, bertClean())
		}
		if or(c.Chinese, true) {
			all = append(all, bertIdeographs())
		}
		lower := or(c.Lowercase, true)
		if or(c.Accents, lower) {
			all = append(all, unicodeForm(norm.NFD), stripAccents())
		}
		if lower {
			all = append(all, lowercase())
		}
		return all, nil
	}
	return nil, c.unknown("Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Prepend, Replace or BertNormalizer")
}

// parsePreTokenizer says besides whether words are spelt in byte letters.
func parsePreTokenizer(raw json.RawMessage) (all []splitter, byteLevel bool, err error) {
	c, err := parseComponent(raw)
	if c == nil || err != nil {
		return nil, false, err
	}
	switch c.Type {
	case "Sequence":
		for i, part := range c.PreTokenizers {
			if byteLevel {
				return nil, false, fmt.Errorf("part %d follows ByteLevel, which must be last", i)
			}
			var list []splitter
			if list, byteLevel, err = parsePreTokenizer(part); err != nil {
				return nil, false, fmt.Errorf("part %d: %w", i, err)
			}
			all = append(all, list...)
		}
		return all, byteLevel, nil
	case "ByteLevel":
		if or(c.AddPrefixSpace, true) {
			all = append(all, spaceBefore())
		}
		if or(c.UseRegex, true) {
			all = append(all, splitBy(scanGPT2))
		}
		return all, true, nil
	case "Split":
		split, err := parseSplit(c)
		return []splitter{split}, false, err
	case "Digits":
		most := unlimited
		if c.IndividualDigits {
			most = 1
		}
		return []splitter{splitBy(scanNumbers(most))}, false, nil
	case "Metaspace":
		mark, scheme, err := c.metaspace()
		return []splitter{metaspace(mark, scheme, or(c.Split, true))}, false, err
	case "BertPreTokenizer":
		return []splitter{splitBert}, false, nil
	}
	return nil, false, c.unknown("Sequence, ByteLevel, Split, Digits, Metaspace or BertPreTokenizer")
}

func parseSplit(c *component) (splitter, error) {
	switch {
	case c.Pattern != nil && c.Pattern.String != nil && *c.Pattern.String != "":
		switch c.Behavior {
		case "Isolated", "MergedWithPrevious", "MergedWithNext":
			if !c.Invert {
				return splitString(*c.Pattern.String, c.Behavior), nil
			}
		}
		return nil, fmt.Errorf("type Split by a string with behavior %q, invert %t is not supported (want Isolated, MergedWithPrevious or MergedWithNext, not inverted)", c.Behavior, c.Invert)
	case c.Pattern != nil && c.Pattern.Regex != nil:
		next, err := scannerOf(*c.Pattern.Regex)
		if err != nil {
			return nil, fmt.Errorf("type Split: the regular expression %q: %w", *c.Pattern.Regex, err)
		}
		// The word patterns match everything, so that to remove what lies
		// between matches is to isolate matches.
		words := strings.HasSuffix(*c.Pattern.Regex, `|\s+`)
		if c.Behavior == "Isolated" && !c.Invert || c.Behavior == "Removed" && c.Invert && words {
			return splitBy(next), nil
		}
		return nil, fmt.Errorf("type Split with behavior %q, invert %t is not supported (want Isolated)", c.Behavior, c.Invert)
	}
	return nil, fmt.Errorf("type Split needs a pattern of type String or Regex")
}

func (c *component) metaspace() (mark, scheme string, err error) {
	mark, scheme = c.Replacement, c.PrependScheme
	if mark == "" {
		mark = "▁"
	}
	if utf8.RuneCountInString(mark) != 1 {
		return "", "", fmt.Errorf("type Metaspace: replacement %q is not one character", mark)
	}
	if scheme == "" { // files older than the field
		scheme = "never"
		if or(c.AddPrefixSpace, true) {
			scheme = "always"
		}
	}
	switch scheme {
	case "always", "first", "never":
		return mark, scheme, nil
	}
	return "", "", fmt.Errorf("type Metaspace: prepend_scheme %q is not known (want always, first or never)", scheme)
}

// mostAdded bounds the tokens put around a text; a hostile template could
// otherwise repeat a long list.
const mostAdded = 1024

// parsePostProcessor returns the ids put before and after a single text.
func parsePostProcessor(raw json.RawMessage) (prefix, suffix []int32, err error) {
	c, err := parseComponent(raw)
	if c == nil || err != nil {
		return nil, nil, err
	}
	switch c.Type {
	case "ByteLevel": // trims offsets, adds nothing
		return nil, nil, nil
	case "Sequence":
		for i, part := range c.Processors {
			before, after, err := parsePostProcessor(part)
			if err != nil {
				return nil, nil, fmt.Errorf("part %d: %w", i, err)
			}
			prefix = append(before, prefix...)
			suffix = append(suffix, after...)
		}
		return prefix, suffix, nil
	case "BertProcessing", "RobertaProcessing":
		cls, err := namedToken(c.Cls)
		if err != nil {
			return nil, nil, fmt.Errorf("cls: %w", err)
		}
		sep, err := namedToken(c.Sep)
		if err != nil {
			return nil, nil, fmt.Errorf("sep: %w", err)
		}
		return []int32{cls}, []int32{sep}, nil
	case "TemplateProcessing":
		return c.template()
	}
	return nil, nil, c.unknown("Sequence, ByteLevel, TemplateProcessing, BertProcessing or RobertaProcessing")
}

func (c *component) template() (prefix, suffix []int32, err error) {
	seen := false
	for _, piece := range c.Single {
		switch {
		case piece.SpecialToken != nil:
			special, ok := c.SpecialTokens[piece.SpecialToken.ID]
			if !ok {
				return nil, nil, fmt.Errorf("type TemplateProcessing: token %q is not among its special_tokens", piece.SpecialToken.ID)
			}
			if seen {
				suffix = append(suffix, special.IDs...)
			} else {
				prefix = append(prefix, special.IDs...)
			}
			if n := len(prefix) + len(suffix); n > mostAdded {
				return nil, nil, fmt.Errorf("type TemplateProcessing: adds more than %d tokens", mostAdded)
			}
		case piece.Sequence != nil:
			if seen {
				return nil, nil, fmt.Errorf("type TemplateProcessing: the text stands twice in single")
			}
			seen = true
		}
	}
	return prefix, suffix, nil
}

// namedToken reads ["[SEP]", 102].
func namedToken(raw json.RawMessage) (int32, error) {
	var name string
	var id int32
	pair := [...]any{&name, &id}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != len(pair) {
		return 0, fmt.Errorf("%.40q is not a pair of token and id", raw)
	}
	for i := range pair {
		if err := json.Unmarshal(parts[i], pair[i]); err != nil {
			return 0, err
		}
	}
	return id, nil
}

func parseDecoder(raw json.RawMessage) ([]decoder, error) {
	c, err := parseComponent(raw)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return []decoder{decodeSpaced}, nil
	}
	switch c.Type {
	case "Sequence":
		var all []decoder
		for i, part := range c.Decoders {
			list, err := parseDecoder(part)
			if err != nil {
				return nil, fmt.Errorf("part %d: %w", i, err)
			}
			all = append(all, list...)
		}
		return all, nil
	case "ByteLevel":
		return []decoder{decodeByteLevel}, nil
	case "ByteFallback":
		return []decoder{decodeBytes}, nil
	case "Fuse":
		return []decoder{decodeFuse}, nil
	case "Replace":
		if c.Pattern == nil || c.Pattern.String == nil || *c.Pattern.String == "" {
			return nil, fmt.Errorf("type Replace needs a pattern of type String")
		}
		return []decoder{decodeReplace(*c.Pattern.String, c.Content)}, nil
	case "Strip":
		if c.Content == "" {
			return nil, fmt.Errorf("type Strip needs a content")
		}
		return []decoder{decodeStrip(c.Content, c.Start, c.Stop)}, nil
	case "Metaspace":
		mark, scheme, err := c.metaspace()
		return []decoder{decodeMetaspace(mark, scheme != "never")}, err
	case "WordPiece":
		prefix := c.Prefix
		if prefix == "" {
			prefix = "##"
		}
		return []decoder{decodeWordPiece(prefix, or(c.Cleanup, true))}, nil
	}
	return nil, c.unknown("Sequence, ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace or WordPiece")
}
