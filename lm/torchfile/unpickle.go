package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// What the machine builds, besides texts, int64, float64, bool, nil, storages
// and views. Lists and dictionaries are shared by reference, as in Python.
type (
	tuple  []any
	list   struct{ items []any }
	dict   struct{ keys, values []any }
	global struct{ module, name string }
	mark   struct{}
)

// machine runs a pickle of the protocols 2 to 5.
type machine struct {
	code  []byte
	pos   int
	stack []any
	memo  map[uint32]any
}

// run executes a pickle and returns the object it builds.
func run(code []byte) (any, error) {
	m := &machine{code: code, memo: map[uint32]any{}}
	for {
		at := m.pos
		op, err := m.bytes(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			if len(m.stack) != 1 {
				return nil, fmt.Errorf("it ends with %d objects, want 1", len(m.stack))
			}
			return m.stack[0], nil
		}
		if err := m.step(op[0]); err != nil {
			return nil, fmt.Errorf("byte %d: %w", at, err)
		}
	}
}

var errEnds = errors.New("it ends too early")

func (m *machine) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(m.code)-m.pos) {
		return nil, errEnds
	}
	b := m.code[m.pos : m.pos+int(n)]
	m.pos += int(n)
	return b, nil
}

// number reads a little-endian unsigned number of n bytes.
func (m *machine) number(n int) (uint64, error) {
	var wide [8]byte
	b, err := m.bytes(uint64(n))
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), err
}

// text reads a text whose length stands before it in n bytes.
func (m *machine) text(n int) (any, error) {
	length, err := m.number(n)
	if err != nil {
		return nil, err
	}
	b, err := m.bytes(length)
	return string(b), err
}

// line reads up to a line feed.
func (m *machine) line() (string, error) {
	for i := m.pos; i < len(m.code); i++ {
		if m.code[i] == '\n' {
			s := string(m.code[m.pos:i])
			m.pos = i + 1
			return s, nil
		}
	}
	return "", errEnds
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

var errStack = errors.New("the program takes more objects than it made")

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errStack
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

func (m *machine) top() (any, error) {
	if len(m.stack) == 0 {
		return nil, errStack
	}
	return m.stack[len(m.stack)-1], nil
}

// last pops n objects.
func (m *machine) last(n int) (tuple, error) {
	if n > len(m.stack) {
		return nil, errStack
	}
	out := append(tuple{}, m.stack[len(m.stack)-n:]...)
	m.stack = m.stack[:len(m.stack)-n]
	return out, nil
}

// marked pops everything above the last mark, and the mark.
func (m *machine) marked() (tuple, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			out := append(tuple{}, m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return out, nil
		}
	}
	return nil, errStack
}

// step runs one instruction.
func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := m.number(1)
		if err == nil && (v < 2 || v > 5) {
			return fmt.Errorf("pickle protocol %d is not supported (want 2 to 5)", v)
		}
		return err
	case 0x95: // FRAME
		_, err := m.number(8)
		return err
	case '(':
		m.push(mark{})
		return nil
	case '0': // POP
		_, err := m.pop()
		return err
	case '}', ']', ')', 'N', 0x88, 0x89:
		m.push(constant(op))
		return nil
	case 't', 0x85, 0x86, 0x87:
		return m.tuple(op)
	case 'a', 'e', 's', 'u':
		return m.fill(op)
	case 'q', 'r', 'h', 'j', 0x94:
		return m.remember(op)
	case 'c', 0x93:
		return m.global(op)
	case 'Q': // BINPERSID
		v, err := m.pop()
		if err != nil {
			return err
		}
		return m.result(persistent(v))
	case 'R': // REDUCE
		args, err := m.last(2)
		if err != nil {
			return err
		}
		return m.result(call(args[0], args[1]))
	case 'b': // BUILD: attributes, such as _metadata of a state dict, mean nothing here
		if _, err := m.pop(); err != nil {
			return err
		}
		_, err := m.top()
		return err
	}
	v, err := m.literal(op)
	return m.result(v, err)
}

func (m *machine) result(v any, err error) error {
	if err == nil {
		m.push(v)
	}
	return err
}

func constant(op byte) any {
	switch op {
	case '}':
		return &dict{}
	case ']':
		return &list{}
	case ')':
		return tuple{}
	case 0x88:
		return true
	case 0x89:
		return false
	}
	return nil
}

// literal reads a number or a text.
func (m *machine) literal(op byte) (any, error) {
	switch op {
	case 'K', 'M': // BININT1, BININT2
		v, err := m.number(int(map[byte]int{'K': 1, 'M': 2}[op]))
		return int64(v), err
	case 'J': // BININT
		v, err := m.number(4)
		return int64(int32(v)), err
	case 0x8a: // LONG1
		n, err := m.number(1)
		if err != nil || n > 8 {
			return nil, errors.Join(err, fmt.Errorf("a number of %d bytes", n))
		}
		v, err := m.number(int(n))
		if n > 0 && n < 8 && v>>(8*n-1) == 1 { // negative
			v |= ^uint64(0) << (8 * n)
		}
		return int64(v), err
	case 'G': // BINFLOAT, big-endian
		b, err := m.bytes(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case 'X': // BINUNICODE
		return m.text(4)
	case 0x8c: // SHORT_BINUNICODE
		return m.text(1)
	case 0x8d: // BINUNICODE8
		return m.text(8)
	}
	return nil, fmt.Errorf("instruction 0x%02x builds something that is no tensor; it is not run", op)
}

func (m *machine) tuple(op byte) error {
	if op == 't' {
		v, err := m.marked()
		return m.result(v, err)
	}
	v, err := m.last(int(op-0x85) + 1)
	return m.result(v, err)
}

// fill appends to a list or sets items of a dictionary.
func (m *machine) fill(op byte) error {
	var items tuple
	var err error
	switch op {
	case 'a':
		items, err = m.last(1)
	case 's':
		items, err = m.last(2)
	default:
		items, err = m.marked()
	}
	if err != nil {
		return err
	}
	target, err := m.top()
	if err != nil {
		return err
	}
	switch into := target.(type) {
	case *list:
		if op == 'a' || op == 'e' {
			into.items = append(into.items, items...)
			return nil
		}
	case *dict:
		if (op == 's' || op == 'u') && len(items)%2 == 0 {
			for i := 0; i < len(items); i += 2 {
				into.keys, into.values = append(into.keys, items[i]), append(into.values, items[i+1])
			}
			return nil
		}
	}
	return fmt.Errorf("items for a %T", target)
}

// remember stores the top of the stack, or brings a stored object back.
func (m *machine) remember(op byte) error {
	size := map[byte]int{'q': 1, 'h': 1, 'r': 4, 'j': 4}[op]
	n, err := m.number(size)
	if err != nil {
		return err
	}
	if op == 0x94 { // MEMOIZE
		n = uint64(len(m.memo))
	}
	if op == 'h' || op == 'j' {
		v, ok := m.memo[uint32(n)]
		if !ok {
			return fmt.Errorf("object %d was not stored", n)
		}
		m.push(v)
		return nil
	}
	v, err := m.top()
	m.memo[uint32(n)] = v
	return err
}

// global looks up a class or function by name: those that build tensors.
func (m *machine) global(op byte) error {
	var g global
	if op == 'c' {
		var err error
		if g.module, err = m.line(); err != nil {
			return err
		}
		if g.name, err = m.line(); err != nil {
			return err
		}
	} else {
		names, err := m.last(2)
		if err != nil {
			return err
		}
		var ok1, ok2 bool
		g.module, ok1 = names[0].(string)
		g.name, ok2 = names[1].(string)
		if !ok1 || !ok2 {
			return errors.New("a name that is no text")
		}
	}
	if !known(g) {
		return fmt.Errorf("it asks for %.80q, which builds no tensor; the code of a file is never run", g.module+"."+g.name)
	}
	m.push(g)
	return nil
}

func known(g global) bool {
	switch g {
	case global{"collections", "OrderedDict"}, global{"torch", "Size"},
		global{"torch._utils", "_rebuild_tensor_v2"}, global{"torch._utils", "_rebuild_parameter"}:
		return true
	}
	_, storage := dtypeOf(g.name)
	return g.module == "torch" && storage
}

// call runs one of the known functions.
func call(function, arguments any) (any, error) {
	g, ok := function.(global)
	args, ok2 := arguments.(tuple)
	if !ok || !ok2 {
		return nil, errors.New("a call of something that is no function")
	}
	switch g.name {
	case "OrderedDict":
		if len(args) == 0 {
			return &dict{}, nil
		}
	case "Size":
		if len(args) == 1 {
			if t, ok := args[0].(tuple); ok {
				return t, nil
			}
		}
	case "_rebuild_tensor_v2":
		return rebuildTensor(args)
	case "_rebuild_parameter":
		if len(args) > 0 {
			if v, ok := args[0].(*view); ok {
				return v, nil
			}
		}
	}
	return nil, fmt.Errorf("a call of %s with %d arguments that it does not take", g.name, len(args))
}

// persistent is a storage: ("storage", class, key, device, elements).
func persistent(id any) (any, error) {
	parts, ok := id.(tuple)
	if !ok || len(parts) < 3 || parts[0] != "storage" {
		return nil, errors.New("a reference that is no storage")
	}
	class, ok := parts[1].(global)
	key, ok2 := parts[2].(string)
	if !ok || !ok2 {
		return nil, errors.New("a storage without class and key")
	}
	dtype, ok := dtypeOf(class.name)
	if !ok {
		return nil, fmt.Errorf("a storage of class %s", class.name)
	}
	return storage{dtype, key}, nil
}
