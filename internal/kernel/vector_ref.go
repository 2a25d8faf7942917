package kernel

import "math"

// The specifications of the vector functions. They define what is computed; the order of
// summation of the fast versions differs, and tests allow for it.

func dotRef(x, y []float32) float32 {
	var s float32
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

func addRef(x, y []float32) {
	for i := range x {
		x[i] += y[i]
	}
}

func axpyRef(y []float32, a float32, x []float32) {
	for i := range y {
		y[i] += a * x[i]
	}
}

func scaleRef(x []float32, s float32) {
	for i := range x {
		x[i] *= s
	}
}

func maxRef(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

func expSumRef(x []float32, s, m float32) float32 {
	var sum float32
	for i, v := range x {
		x[i] = exp32(s*v - m)
		sum += x[i]
	}
	return sum
}

func expSum64Ref(x []float32, m float32) float64 {
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v - m))
	}
	return sum
}

func softmaxGradRef(dp, p []float32, d, s float32) {
	for i := range dp {
		dp[i] = p[i] * (dp[i] - d) * s
	}
}

func normScaleRef(y, x, w []float32, r float32) {
	for i := range y {
		y[i] = x[i] * r * w[i]
	}
}

// normGradWeightRef adds dy*x*r to dw and returns the sum of dy*w*x.
func normGradWeightRef(dw, dy, x, w []float32, r float32) float32 {
	var s float32
	for i := range dw {
		s += dy[i] * w[i] * x[i]
		dw[i] += dy[i] * x[i] * r
	}
	return s
}

// normGradInputRef adds r*dy*w - c*x to dx.
func normGradInputRef(dx, dy, x, w []float32, r, c float32) {
	for i := range dx {
		dx[i] += r*dy[i]*w[i] - c*x[i]
	}
}

func swiGLURef(h, gate, up []float32) {
	for i, g := range gate {
		h[i] = g / (1 + exp32(-g)) * up[i]
	}
}

func swiGLUGradRef(dh, gate, up []float32) {
	for i, g := range gate {
		s := 1 / (1 + exp32(-g))
		d, u := dh[i], up[i]
		up[i] = d * g * s
		gate[i] = d * u * s * (1 + g*(1-s))
	}
}

// rotateHeads turns the first n of each half of each head.
func rotateHeads(x, cos, sin []float32, n, heads, headDim int, sign float32) {
	for h := range heads {
		a, b := x[h*headDim:][:n], x[h*headDim+headDim/2:][:n]
		rotateRef(a, b, cos[:n], sin[:n], sign)
	}
}

func rotateRef(a, b, cos, sin []float32, sign float32) {
	for i := range a {
		x, y, s := a[i], b[i], sign*sin[i]
		a[i] = x*cos[i] - y*s
		b[i] = y*cos[i] + x*s
	}
}

func adamWRef(p, g, m, v []float32, k adamW) {
	for i := range p {
		d := g[i] * k.scale
		m[i] = k.beta1*m[i] + k.rest1*d
		v[i] = k.beta2*v[i] + k.rest2*d*d
		p[i] -= k.decay * p[i]
		p[i] -= k.rate * m[i] / (float32(math.Sqrt(float64(v[i])))*k.root + k.eps)
	}
}

func sumSquaresRef(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}
