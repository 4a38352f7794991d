package hypernet

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn/graph"
)

// scaledValues turns transformed rows z, [ũ, δ̃], into [ũ, d], where d is what a row's
// output is to change by: (uᵀũ)·δ̃ with Product, of the raw input u (Tan et al.
// 2024), and ‖ũ‖²·δ̃ with Square (Gu et al. 2025).
func scaledValues(b *graph.Builder, g *Group, raw, z graph.Node, kind string) graph.Node {
	wide := g.In + g.Out
	// times is the factor of a row's δ̃, and u what ∂/∂ũ of it is a multiple of.
	times := func(z, raw []float32) (float32, []float32, float32) {
		if kind == Square {
			return dot(z[:g.In], z[:g.In]), z[:g.In], 2
		}
		return dot(raw[:g.In], z[:g.In]), raw[:g.In], 1
	}
	return b.Apply(&graph.Op{Cols: wide, WRT: []bool{true, false}, Kind: &graph.Kind{
		Name: "values",
		Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			for i := range in[0].Rows {
				z, raw, row := in[0].Data[i*wide:(i+1)*wide], in[1].Data[i*wide:(i+1)*wide], out.Data[i*wide:(i+1)*wide]
				by, _, _ := times(z, raw)
				copy(row, z[:g.In])
				for j := g.In; j < wide; j++ {
					row[j] = by * z[j]
				}
			}
			out.Rows = in[0].Rows
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			return []graph.Node{b.Apply(&graph.Op{Cols: wide, Kind: &graph.Kind{
				Name: "values.grad",
				Host: func(_ *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
					for i := range in[0].Rows {
						d, z, raw, row := in[0].Data[i*wide:(i+1)*wide], in[1].Data[i*wide:(i+1)*wide], in[2].Data[i*wide:(i+1)*wide], out.Data[i*wide:(i+1)*wide]
						by, u, slope := times(z, raw)
						slope *= dot(d[g.In:], z[g.In:])
						for j, x := range u {
							row[j] = d[j] + slope*x
						}
						for j := g.In; j < wide; j++ {
							row[j] = by * d[j]
						}
					}
					out.Rows = in[0].Rows
					return nil
				},
			}}, grad, in[0], in[1]), nil}
		},
	}}, z, raw)
}

func dot(a, b []float32) float32 {
	return float32(kernel.Dot64(a, b))
}
