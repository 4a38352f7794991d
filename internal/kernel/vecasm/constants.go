package main

import "math"

type constant struct {
	name string
	bits uint32
}

func number(name string, x float64) constant {
	return constant{name, math.Float32bits(float32(x))}
}

// constants lists every constant of the primitives. The polynomials are
// Chebyshev fits: that of exp is r²·(C2 + C3·r + …) for exp(r)-1-r over
// |r| <= ln(2)/2, relative error 1e-8; that of erfc is exp(z²)·erfc(z)/2 in
// t = 1/(1+0.4z) over z in [0, 9.4], error 1.5e-8.
var constants = []constant{
	number("Zero", 0),
	number("One", 1),
	number("Half", 0.5),
	number("Two", 2),
	number("MinusTwo", -2),
	number("MinusInf", math.Inf(-1)),
	{"Sign", 1 << 31},
	{"Magnitude", 1<<31 - 1},

	number("ExpLow", -87.33654), // exp is the least normal number; below, 0
	number("ExpHigh", 88.72),    // exp is 3.39e38; above, the same
	number("Log2E", math.Log2E),
	number("Magic", 3<<22), // adding it leaves the nearest integer in the low bits
	number("Ln2", math.Ln2),
	number("Ln2Rest", math.Ln2-float64(float32(math.Ln2))),
	number("Exp2", 0.5),
	number("Exp3", 0.166665765832),
	number("Exp4", 0.0416665541093),
	number("Exp5", 0.00836324666975),
	number("Exp6", 0.00139262680526),

	number("GeluLinear", -2*geluA), // exponent of the sigmoid: x·(linear + cubic·x²)
	number("GeluCubic", -2*geluA*geluB),
	number("GeluSlope", 2*geluA),
	number("GeluSlopeSquare", 6*geluA*geluB),
	number("GeluLow", -20), // the slope is 0 below, 1 above its negative
	number("GeluHigh", 20),

	number("ErfScale", 0.4/math.Sqrt2),
	number("MinusHalf", -0.5),
	number("Density", 1/math.Sqrt(2*math.Pi)),
	number("Erf0", 6.30680662652e-5),
	number("Erf1", 0.111566227712),
	number("Erf2", 0.12381436594),
	number("Erf3", 0.0506379980093),
	number("Erf4", 0.244557963921),
	number("Erf5", -0.239591765859),
	number("Erf6", 0.38438768602),
	number("Erf7", -0.216250260138),
	number("Erf8", 0.0408147164856),
}

const (
	geluA = 0.79788456080286535588 // √(2/π)
	geluB = 0.044715
)
