package report

import (
	"math"
	"strconv"
	"strings"
)

// Axis names an axis. If Hi > Lo, these are the least and the greatest possible
// value: all of that is shown, and no band goes beyond. Log makes it logarithmic
// if every value is positive.
type Axis struct {
	Name   string
	Lo, Hi float64
	Log    bool
	Zero   bool // zero is shown, however far it is
	Whole  bool // values are whole numbers, and so are its ticks
}

// spanning is from how great a ratio on values span decades.
const spanning = 30

// Spanning makes an axis logarithmic if the values span decades.
func (a Axis) Spanning(values []float64) Axis {
	lo, hi := extremes(values)
	a.Log = lo > 0 && hi/lo >= spanning
	return a
}

// bounded tells whether the axis knows what is possible.
func (a Axis) bounded() bool { return a.Hi > a.Lo }

// within is v, or the nearest possible value.
func (a Axis) within(v float64) float64 {
	if !a.bounded() {
		return v
	}
	return math.Min(math.Max(v, a.Lo), a.Hi)
}

// extremes are the least and the greatest finite value; 0 and 0 if there is none.
func extremes(values []float64) (lo, hi float64) {
	seen := false
	for _, v := range values {
		switch {
		case !finite(v):
		case !seen:
			lo, hi, seen = v, v, true
		default:
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	return lo, hi
}

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// scale maps values to places.
type scale struct {
	lo, hi float64
	log    bool
	whole  bool
	a, z   float64 // the places of lo and hi
}

// fit chooses what an axis shows of values. Zero is among it if it is near, or if
// zero says so.
func (a Axis) fit(values []float64, zero bool) scale {
	lo, hi := extremes(values)
	s := scale{lo: lo, hi: hi, whole: a.Whole}
	zero = zero || a.Zero
	switch {
	case a.bounded():
		pad := 0.03 * (a.Hi - a.Lo) // so that a marker at the end is whole
		s.lo, s.hi = a.Lo-pad, a.Hi+pad
	case a.Log && lo > 0:
		s.log = true
		s.lo, s.hi = math.Pow(10, math.Floor(math.Log10(lo)+1e-9)), math.Pow(10, math.Ceil(math.Log10(hi)-1e-9))
		if s.lo == s.hi {
			s.hi *= 10
		}
		if s.hi/s.lo < 150 { // with ticks at 2 and 5, which is far enough
			for _, f := range []float64{5, 2} {
				if lo >= s.lo*f*(1-1e-9) && s.hi > 2*f*s.lo {
					s.lo *= f
					break
				}
			}
			for _, f := range []float64{5, 2} {
				if hi <= s.hi/f*(1+1e-9) && s.hi/f > 2*s.lo {
					s.hi /= f
					break
				}
			}
		}
	default:
		if lo >= 0 && (zero || lo < 0.5*hi) {
			s.lo = 0
		} else if hi <= 0 && (zero || hi > 0.5*lo) {
			s.hi = 0
		}
		if s.lo == s.hi {
			s.hi = s.lo + math.Max(1, math.Abs(s.lo))
		}
		pad := 0.05 * (s.hi - s.lo)
		if s.lo != 0 {
			s.lo -= pad
		}
		if s.hi != 0 {
			s.hi += pad
		}
	}
	return s
}

// at is the place of a value.
func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log10(math.Max(v, math.SmallestNonzeroFloat64)), math.Log10(lo), math.Log10(hi)
	}
	return s.a + (v-lo)/(hi-lo)*(s.z-s.a)
}

// tick is a value with its label; a small one has none.
type tick struct {
	value float64
	label string
}

// ticks are about count round values, and at least two: 1, 2 or 5 times a power of
// ten apart.
func (s scale) ticks(count int) []tick {
	if s.log {
		return s.decades(count)
	}
	for count = max(count, 2); ; count *= 2 {
		step, digits := roundStep((s.hi - s.lo) / float64(count))
		if s.whole && step < 1 {
			return s.apart(1, 0)
		}
		if out := s.apart(step, digits); len(out) > 1 {
			return out
		}
	}
}

// apart are the multiples of a step.
func (s scale) apart(step float64, digits int) []tick {
	var out []tick
	for i := math.Ceil(s.lo/step - 1e-9); i <= s.hi/step+1e-9; i++ {
		v := i * step
		if i == 0 {
			v = 0 // not −0
		}
		out = append(out, tick{v, tickLabel(v, digits)})
	}
	return out
}

// roundStep is the least step of 1, 2 or 5 times a power of ten that is not below
// a width, and its digits behind the point.
func roundStep(width float64) (step float64, digits int) {
	power := int(math.Floor(math.Log10(width) + 1e-9))
	unit := math.Pow(10, float64(power))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit >= width*(1-1e-9) {
			if m == 10 {
				power++
			}
			return m * unit, max(0, -power)
		}
	}
	return 10 * unit, max(0, -power-1)
}

// decades are ticks of a logarithmic axis: powers of ten, or all times 1, 2 and 5
// where there are few.
func (s scale) decades(count int) []tick {
	first, last := int(math.Floor(math.Log10(s.lo)+1e-9)), int(math.Ceil(math.Log10(s.hi)-1e-9))
	every := max(1, (last-first+count-1)/max(count, 1))
	factors := []float64{1}
	if last-first <= 2 {
		factors = []float64{1, 2, 5}
	}
	var out []tick
	for p := first; p <= last; p++ {
		for _, f := range factors {
			v := f * math.Pow(10, float64(p))
			if v < s.lo*(1-1e-9) || v > s.hi*(1+1e-9) {
				continue
			}
			t := tick{value: v}
			if (p-first)%every == 0 {
				t.label = tickLabel(v, max(0, -p))
			}
			out = append(out, t)
		}
	}
	return out
}

// tickLabel is a value with so many digits, or with an exponent if that is long.
func tickLabel(v float64, digits int) string {
	if a := math.Abs(v); v != 0 && (a >= 1e6 || a < 1e-4) {
		return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(strconv.FormatFloat(v, 'g', 6, 64))
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
