package tokenizer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// White space as the expressions' \s has it, to stand inside brackets.
const spaceClass = `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`

// lookahead is the one assertion that published pre-tokenizers use.
const lookahead = `\s+(?!\S)|`

// blankGroup marks the \s+ that stands for it.
const blankGroup = "keyhole_blank"

// scanRegex compiles an expression of a pre-tokenizer. They are written for
// backtracking engines; package regexp prefers the same match in linear time,
// after these changes: \s means Unicode's white space, \uXXXX is a character, a
// possessive quantifier is a plain one (they stand where nothing that follows
// could match the rest), and \s+(?!\S) before \s+ is done by hand. Anything else
// that package regexp lacks, and what matches the empty text, is an error.
func scanRegex(pattern string) (scanner, error) {
	const longest = 1 << 14
	if len(pattern) > longest {
		return nil, fmt.Errorf("of %d bytes is longer than %d", len(pattern), longest)
	}
	before, after, trim := strings.Cut(pattern, lookahead)
	if trim {
		if !strings.HasPrefix(after, `\s+`) || strings.HasPrefix(after, `\s++`) {
			return nil, errors.New(`has \s+(?!\S) without \s+ behind it`)
		}
		pattern = before + `(?P<` + blankGroup + `>\s+)` + strings.TrimPrefix(after, `\s+`)
	}
	text, err := translateRegex(pattern)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	if re.MatchString("") {
		return nil, errors.New("matches the empty text")
	}
	if trim && re.SubexpIndex(blankGroup) < 0 {
		return nil, errors.New(`has \s+(?!\S) where it is no part of its own`)
	}
	blank := 2 * re.SubexpIndex(blankGroup)
	return func(s string) int {
		at := re.FindStringSubmatchIndex(s)
		switch {
		case at == nil:
			return len(s)
		case at[0] > 0: // what no match covers is a piece of its own
			return at[0]
		case trim && at[blank] >= 0:
			return blanks(s)
		case at[1] == 0:
			return len(s)
		}
		return at[1]
	}, nil
}

// translateRegex rewrites what package regexp spells otherwise.
func translateRegex(pattern string) (string, error) {
	var out strings.Builder
	inside := false // brackets
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			switch e := pattern[i]; e {
			case 's', 'S':
				switch {
				case !inside && e == 's':
					out.WriteString("[" + spaceClass + "]")
				case !inside:
					out.WriteString("[^" + spaceClass + "]")
				case e == 's':
					out.WriteString(spaceClass)
				default:
					return "", errors.New(`has \S inside brackets`)
				}
			case 'u':
				if i+4 >= len(pattern) {
					return "", errors.New(`ends inside \u`)
				}
				out.WriteString(`\x{` + pattern[i+1:i+5] + `}`)
				i += 4
			case 'b', 'B', 'A', 'C', 'E', 'Q', 'z', 'Z', 'w', 'W', 'd', 'D', 'G', 'K', 'h', 'R', 'X', '1', '2', '3', '4', '5', '6', '7', '8', '9':
				return "", fmt.Errorf(`has \%c, which is not supported`, e)
			default:
				out.WriteByte('\\')
				out.WriteByte(e)
			}
		case c == '[' && !inside:
			inside = true
			out.WriteByte(c)
			if i+1 < len(pattern) && pattern[i+1] == '^' {
				i++
				out.WriteByte('^')
			}
		case c == '[':
			out.WriteString(`\[`)
		case c == ']' && inside:
			inside = false
			out.WriteByte(c)
		case c == '^' && !inside:
			return "", errors.New("is anchored by ^, which is not supported")
		case c == '+' && !inside && i > 0 && (pattern[i-1] == '+' || pattern[i-1] == '?' || pattern[i-1] == '*') && (i < 2 || pattern[i-2] != '\\'):
			// possessive
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}
