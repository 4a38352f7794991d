package graph

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Rivals are, for some rows, the token whose logit has to be above another one's by
// Least, and the weight of each row in the loss.
type Rivals struct {
	Least     float32
	IDs, Than []int32
	Weight    []float32
}

// Margin is the loss max(0, Least − (z[id] − z[than])) of the logits z of each row of x
// [rows, width] behind the head. A hit is a row where z[id] is the larger one.
func (b *Builder) Margin(x Node, head *nn.Linear, r *Rivals) Scores {
	return b.HeadLoss(x, nil, head, margin{r})
}

type margin struct{ *Rivals }

func (m margin) Weight(row int) float32 { return m.Rivals.Weight[row] }

func (m margin) Score(k *kernel.Engine, c *Chunk) {
	for i := range c.Logits.Rows {
		z := c.Logits.Data[i*c.Logits.Stride : i*c.Logits.Stride+c.Logits.Cols]
		id, than, w := m.IDs[c.Lo+i], m.Than[c.Lo+i], m.Rivals.Weight[c.Lo+i]
		gap := z[id] - z[than]
		c.Hit[i], c.Loss[i] = gap > 0, max(0, m.Least-gap)
		clear(z)
		if gap < m.Least {
			z[id], z[than] = -w, w
		}
	}
}
