package kernel

func activate(kind Activation, y, x []float32) {
	if x = x[:len(y)]; level == plainGo || kind == ReLU {
		activateGo(kind, y, x)
		return
	}
	n := len(y) &^ (lanes - 1)
	activate16(kind, ptr(y), ptr(x), n)
	if n < len(y) {
		var t tail
		activate16(kind, &t[0], t.pad(x[n:], 0), lanes)
		copy(y[n:], t[:])
	}
}

func activate16(kind Activation, y, x *float32, n int) {
	switch kind {
	case GELUTanh:
		geluTanh16(y, x, n)
	case GELU:
		gelu16(y, x, n)
	case SiLU:
		silu16(y, x, n)
	default:
		tanh16(y, x, n)
	}
}

func activateGrad(kind Activation, dx, x, dy []float32) {
	if x, dy = x[:len(dx)], dy[:len(dx)]; level == plainGo || kind == ReLU {
		activateGradGo(kind, dx, x, dy)
		return
	}
	n := len(dx) &^ (lanes - 1)
	activateGrad16(kind, ptr(dx), ptr(x), ptr(dy), n)
	if n < len(dx) {
		var s, t tail
		activateGrad16(kind, &s[0], s.pad(x[n:], 0), t.pad(dy[n:], 0), lanes)
		copy(dx[n:], s[:])
	}
}

func activateGrad16(kind Activation, dx, x, dy *float32, n int) {
	switch kind {
	case GELUTanh:
		geluTanhGrad16(dx, x, dy, n)
	case GELU:
		geluGrad16(dx, x, dy, n)
	case SiLU:
		siluGrad16(dx, x, dy, n)
	default:
		tanhGrad16(dx, x, dy, n)
	}
}

func gatedSiLU(y, g, u []float32) {
	if g, u = g[:len(y)], u[:len(y)]; level == plainGo {
		gatedSiLUGo(y, g, u)
		return
	}
	n := len(y) &^ (lanes - 1)
	gatedSiLU16(ptr(y), ptr(g), ptr(u), n)
	if n < len(y) {
		var s, t tail
		gatedSiLU16(&s[0], s.pad(g[n:], 0), t.pad(u[n:], 0), lanes)
		copy(y[n:], s[:])
	}
}

func gatedSiLUGrad(dg, du, g, u, dy []float32) {
	k := len(dg)
	if du, g, u, dy = du[:k], g[:k], u[:k], dy[:k]; level == plainGo {
		gatedSiLUGradGo(dg, du, g, u, dy)
		return
	}
	n := k &^ (lanes - 1)
	gatedSiLUGrad16(ptr(dg), ptr(du), ptr(g), ptr(u), ptr(dy), n)
	if n < k {
		var a, b, c tail
		gatedSiLUGrad16(&a[0], &b[0], a.pad(g[n:], 0), b.pad(u[n:], 0), c.pad(dy[n:], 0), lanes)
		copy(dg[n:], a[:])
		copy(du[n:], b[:])
	}
}

func adam(w, g, m, v []float32, c *adamConsts) {
	k := len(w)
	if g, m, v = g[:k], m[:k], v[:k]; level == plainGo {
		adamGo(w, g, m, v, c)
		return
	}
	n := k &^ (lanes - 1)
	adam16(ptr(w), ptr(g), ptr(m), ptr(v), &c.gscale, n)
	if n < k {
		adamGo(w[n:], g[n:], m[n:], v[n:], c)
	}
}
