package eval

import (
	"math"
)

// Outcome is what a model makes of an answer while reading it (teacher
// forced). All slices have one entry for each token of the answer.
type Outcome struct {
	NLL  []float32 // −log P of the wanted token, in nats
	Got  []int32   // the most probable token; −1 if the model computed no number
	Want []int32
	KL   []float32 // KL(base ‖ edited) in nats; nil where it was not asked for

	said bool // by its text, see text.Said
}

// Right tells whether every token is the most probable one, or whether the most
// probable ones say the answer though they cut it otherwise.
func (o *Outcome) Right() bool { return o.said || o.Accuracy() == 1 }

// Accuracy is the share of tokens that are the most probable ones.
func (o *Outcome) Accuracy() float64 {
	hits := 0
	for i, g := range o.Got {
		if g == o.Want[i] {
			hits++
		}
	}
	return float64(hits) / float64(len(o.Got))
}

// MeanNLL is the mean over the tokens.
func (o *Outcome) MeanNLL() float64 { return mean(o.NLL) }

// Prob is exp(−MeanNLL): the geometric mean of the tokens' probabilities.
func (o *Outcome) Prob() float64 { return math.Exp(-o.MeanNLL()) }

// MeanKL is the mean over the tokens.
func (o *Outcome) MeanKL() float64 { return mean(o.KL) }

// Kept is the share of tokens whose prediction is that of base.
func (o *Outcome) Kept(base *Outcome) float64 {
	same := 0
	for i, g := range o.Got {
		if g == base.Got[i] && g >= 0 {
			same++
		}
	}
	return float64(same) / float64(len(o.Got))
}

// Finite tells whether the model computed numbers.
func (o *Outcome) Finite() bool {
	for _, x := range o.NLL {
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return false
		}
	}
	return true
}

func mean(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x)
	}
	return sum / float64(len(v))
}

func sqrt(x float64) float64 { return math.Sqrt(max(x, 0)) }

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// harmonic is the harmonic mean, 0 if a value is 0 or less.
func harmonic(values ...float64) float64 {
	sum := 0.0
	for _, v := range values {
		if v <= 0 {
			return 0
		}
		sum += 1 / v
	}
	return float64(len(values)) / sum
}
