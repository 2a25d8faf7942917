package kernel

import "math"

// lanes is the number of elements the vector kernels take at once; the rest of a slice is
// done by the specification. The split depends on the length alone.
const lanes = 8

// Dot is the sum of x[i]*y[i].
func Dot(x, y []float32) float32 {
	n := len(x) &^ (lanes - 1)
	s := dotRef(x[n:], y[n:len(x)])
	if n > 0 {
		s += dot(x[:n], y[:n])
	}
	return s
}

// Add adds y to x.
func Add(x, y []float32) {
	n := len(x) &^ (lanes - 1)
	if n > 0 {
		add(x[:n], y[:n])
	}
	addRef(x[n:], y[n:len(x)])
}

// Axpy adds a*x to y.
func Axpy(y []float32, a float32, x []float32) {
	n := len(y) &^ (lanes - 1)
	if n > 0 {
		axpy(y[:n], x[:n], a)
	}
	axpyRef(y[n:], a, x[n:len(y)])
}

// Scale multiplies x by s.
func Scale(x []float32, s float32) {
	n := len(x) &^ (lanes - 1)
	if n > 0 {
		scale(x[:n], s)
	}
	scaleRef(x[n:], s)
}

// Max is the largest element, or -Inf of nothing. x must not hold NaN.
func Max(x []float32) float32 {
	n := len(x) &^ (lanes - 1)
	m := maxRef(x[n:])
	if n > 0 {
		m = max(m, maximum(x[:n]))
	}
	return m
}

// ExpSum replaces x by exp(s*x - m) and returns the sum. m should be at least the largest
// s*x; results below 1e-37 are not told from 1e-38.
func ExpSum(x []float32, s, m float32) float32 {
	n := len(x) &^ (lanes - 1)
	sum := float32(0)
	if n > 0 {
		sum = expSum(x[:n], s, m)
	}
	return sum + expSumRef(x[n:], s, m)
}

// Softmax replaces x by softmax(s*x), for s ≥ 0.
func Softmax(x []float32, s float32) {
	if len(x) == 0 {
		return
	}
	Scale(x, 1/ExpSum(x, s, s*Max(x)))
}

// SoftmaxBackward replaces dp, the gradient of p = softmax(s*x), by that of x:
// p*(dp - Σ dp*p)*s.
func SoftmaxBackward(dp, p []float32, s float32) {
	d := Dot(dp, p)
	n := len(dp) &^ (lanes - 1)
	if n > 0 {
		softmaxGrad(dp[:n], p[:n], d, s)
	}
	softmaxGradRef(dp[n:], p[n:len(dp)], d, s)
}

// RMSNorm writes y = x*r*w with r = 1/sqrt(mean(x²)+eps), and returns r
// (Zhang and Sennrich 2019).
func RMSNorm(y, x, w []float32, eps float32) float32 {
	r := float32(1 / math.Sqrt(float64(Dot(x, x))/float64(len(x))+float64(eps)))
	n := len(x) &^ (lanes - 1)
	if n > 0 {
		normScale(y[:n], x[:n], w[:n], r)
	}
	normScaleRef(y[n:len(x)], x[n:], w[n:len(x)], r)
	return r
}

// RMSNormBackward adds to dx and dw the gradients of y = RMSNorm(x)*w, given dy and the r
// that RMSNorm returned: dw += dy*x*r, dx += r*dy*w - x*r³/n*Σ dy*w*x.
func RMSNormBackward(dx, dw, dy, x, w []float32, r float32) {
	n := len(x) &^ (lanes - 1)
	s := normGradWeightRef(dw[n:len(x)], dy[n:], x[n:], w[n:], r)
	if n > 0 {
		s += normGradWeight(dw[:n], dy[:n], x[:n], w[:n], r)
	}
	c := r * r * r * s / float32(len(x))
	if n > 0 {
		normGradInput(dx[:n], dy[:n], x[:n], w[:n], r, c)
	}
	normGradInputRef(dx[n:len(x)], dy[n:], x[n:], w[n:], r, c)
}

// SwiGLU writes h = silu(gate)*up (Shazeer 2020).
func SwiGLU(h, gate, up []float32) {
	n := len(gate) &^ (lanes - 1)
	if n > 0 {
		swiGLU(h[:n], gate[:n], up[:n])
	}
	swiGLURef(h[n:], gate[n:], up[n:])
}

// SwiGLUBackward replaces gate and up by their gradients, given dh.
func SwiGLUBackward(dh, gate, up []float32) {
	n := len(gate) &^ (lanes - 1)
	if n > 0 {
		swiGLUGrad(dh[:n], gate[:n], up[:n])
	}
	swiGLUGradRef(dh[n:], gate[n:], up[n:])
}

// Rotate turns the two halves of each head by angles given as cos and sin (headDim/2
// each), in place: rotary positions in Hugging Face's half-split layout. sign -1 turns back.
func Rotate(x []float32, cos, sin []float32, heads, headDim int, sign float32) {
	if heads == 0 {
		return
	}
	half := headDim / 2
	n := half &^ (lanes - 1)
	if n > 0 {
		_, _, _ = x[(heads-1)*headDim+2*half-1], cos[n-1], sin[n-1] // assembly checks no bounds
		rotate(x, cos, sin, n, heads, headDim, sign)
	}
	if n == half {
		return
	}
	for h := range heads {
		a, b := x[h*headDim:][:half], x[h*headDim+half:][:half]
		rotateRef(a[n:], b[n:], cos[n:half], sin[n:half], sign)
	}
}

// LogSumExp is log Σ exp(x), summed in float64.
func LogSumExp(x []float32) float64 {
	if len(x) == 0 {
		return math.Inf(-1)
	}
	m := Max(x)
	n := len(x) &^ (lanes - 1)
	s := expSum64Ref(x[n:], m)
	if n > 0 {
		s += expSum64(x[:n], m)
	}
	return float64(m) + math.Log(s)
}

// adamW are the constants of one optimiser step. rest1 and rest2 are 1-beta1 and 1-beta2,
// which in float32 would be wrong by 5e-5 for a beta2 of 0.999.
type adamW struct{ scale, beta1, rest1, beta2, rest2, rate, root, eps, decay float32 }

func newAdamW(gradScale float32, beta1, beta2, lr, eps, decay float64, step int) adamW {
	return adamW{
		scale: gradScale,
		beta1: float32(beta1), rest1: float32(1 - beta1),
		beta2: float32(beta2), rest2: float32(1 - beta2),
		rate: float32(lr / (1 - math.Pow(beta1, float64(step)))),
		root: float32(1 / math.Sqrt(1-math.Pow(beta2, float64(step)))),
		eps:  float32(eps), decay: float32(lr * decay),
	}
}

// AdamW is one step of torch.optim.AdamW on parameters p with gradient g*gradScale and
// moments m and v; step counts from 1, decay is PyTorch's weight_decay.
func AdamW(p, g, m, v []float32, gradScale float32, beta1, beta2, lr, eps, decay float64, step int) {
	k := newAdamW(gradScale, beta1, beta2, lr, eps, decay, step)
	n := len(p) &^ (lanes - 1)
	if n > 0 {
		adamWStep(p[:n], g[:n], m[:n], v[:n], &k)
	}
	adamWRef(p[n:], g[n:len(p)], m[n:len(p)], v[n:len(p)], k)
}

// SumSquares is the sum of x[i]² in float64.
func SumSquares(x []float32) float64 {
	n := len(x) &^ (lanes - 1)
	s := sumSquaresRef(x[n:])
	if n > 0 {
		s += sumSquares(x[:n])
	}
	return s
}
