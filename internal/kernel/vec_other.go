//go:build !amd64

package kernel

// Elsewhere than on amd64 the vector primitives are plain Go.

func addTo(y, x []float32)                                        { addToGo(y, x) }
func add(y, a, b []float32)                                       { addGo(y, a, b) }
func mul(y, a, b []float32)                                       { mulGo(y, a, b) }
func mulAdd(y, a, b []float32)                                    { mulAddGo(y, a, b) }
func scale(y []float32, s float32)                                { scaleGo(y, s) }
func axpy(y []float32, a float32, x []float32)                    { axpyGo(y, a, x) }
func sum(x []float32) float32                                     { return sumGo(x) }
func dot(a, b []float32) float32                                  { return dotGo(a, b) }
func sumSquares(x []float32) float64                              { return sumSquaresGo(x) }
func sumSqDev(x []float32, mean float32) float32                  { return sumSqDevGo(x, mean) }
func maxAbsBits(x []float32) uint32                               { return maxAbsBitsGo(x) }
func maxOf(x []float32) float32                                   { return maxOfGo(x) }
func expSum(x []float32, shift float32) float64                   { return expSumGo(x, shift) }
func expTo(y, x []float32, shift, scale float32)                  { expToGo(y, x, shift, scale) }
func klSums(p, q []float32, mp, mq float32) (sp, sq, spd float64) { return klSumsGo(p, q, mp, mq) }
func klGrad(dq, p, q []float32, lp, lq, scale float32)            { klGradGo(dq, p, q, lp, lq, scale) }
func normApply(y, x, gain, bias []float32, mean, rstd float32) {
	normApplyGo(y, x, gain, bias, mean, rstd)
}
func normGradSums(x, gain, dy []float32, mean, rstd float32) (s, sx float32) {
	return normGradSumsGo(x, gain, dy, mean, rstd)
}
func normGradApply(dx, x, gain, dy []float32, mean, rstd, c, cx float32) {
	normGradApplyGo(dx, x, gain, dy, mean, rstd, c, cx)
}
func normParam(dgain, x, dy, stats []float32, stride int) { normParamGo(dgain, x, dy, stats, stride) }
func rotate(y1, y2, x1, x2, cos, sin []float32)           { rotateGo(y1, y2, x1, x2, cos, sin) }
func combine(y, a []float32, as int, b []float32, bs, k int, acc bool) {
	combineGo(y, a, as, b, bs, k, acc)
}
func transpose(y []float32, ys int, x []float32, xs, rows, cols int) {
	transposeGo(y, ys, x, xs, rows, cols)
}
func activate(kind Activation, y, x []float32)          { activateGo(kind, y, x) }
func activateGrad(kind Activation, dx, x, dy []float32) { activateGradGo(kind, dx, x, dy) }
func gatedSiLU(y, g, u []float32)                       { gatedSiLUGo(y, g, u) }
func gatedSiLUGrad(dg, du, g, u, dy []float32)          { gatedSiLUGradGo(dg, du, g, u, dy) }
func adam(w, g, m, v []float32, c *adamConsts)          { adamGo(w, g, m, v, c) }
func clamp(y, q []float32, a Affine)                    { clampGo(y, q, a) }
func clampGrad(dq, dy, q []float32, a Affine)           { clampGradGo(dq, dy, q, a) }
func clampShiftSums(out, dy, q []float32, stride, rows int, a Affine) {
	clampShiftSumsGo(out, dy, q, stride, rows, a)
}
func clampGainSums(out, dy, q []float32, stride, rows int, a Affine) {
	clampGainSumsGo(out, dy, q, stride, rows, a)
}
