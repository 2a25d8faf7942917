package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Every vector kernel takes a length n > 0 that is a multiple of 8.

var constants = map[uint32]Mem{}

// constant is f in all eight lanes, in memory.
func constant(f float32) Mem {
	bits := math.Float32bits(f)
	if m, ok := constants[bits]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("f%08x", bits), RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(bits))
	}
	constants[bits] = m
	return m
}

// broadcast loads a float32 parameter into all lanes.
func broadcast(name string) VecVirtual {
	y := YMM()
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(p.Addr, y)
	return y
}

// each emits body for every eight elements of the vectors ptrs.
func each(name string, n Register, ptrs []Register, body func()) {
	Label(name + "_loop")
	body()
	for _, p := range ptrs {
		ADDQ(Imm(32), p)
	}
	SUBQ(Imm(8), n)
	JNZ(LabelRef(name + "_loop"))
}

func zero() VecVirtual {
	y := YMM()
	VXORPS(y, y, y)
	return y
}

// sum adds the lanes of y in a fixed order.
func sum(y VecVirtual) Register {
	x, h := y.AsX(), XMM()
	VEXTRACTF128(Imm(1), y, h)
	VADDPS(h, x, x)
	VMOVHLPS(x, x, h)
	VADDPS(h, x, x)
	VMOVSHDUP(x, h)
	VADDSS(h, x, x)
	return x
}

// sum64 adds the four float64 lanes of y.
func sum64(y VecVirtual) Register {
	x, h := y.AsX(), XMM()
	VEXTRACTF128(Imm(1), y, h)
	VADDPD(h, x, x)
	VUNPCKHPD(x, x, h)
	VADDSD(h, x, x)
	return x
}

func finish() {
	VZEROUPPER()
	RET()
}

// exp emits x = exp(x): x = n ln 2 + r, a polynomial in r (Cephes' coefficients), and n
// put into the exponent. Arguments are clamped to [-87.3, 88.3]; the relative error is
// below 2e-7. NaN stays NaN: VMAXPS and VMINPS return their first operand (in the order
// of Go) when one is NaN, so that must be x and not the bound.
func exp(x VecVirtual) {
	n, y, r2 := YMM(), YMM(), YMM()
	VMOVUPS(constant(-87.3), n)
	VMOVUPS(constant(88.3), y)
	VMAXPS(x, n, x)
	VMINPS(x, y, x)
	VMULPS(constant(math.Log2E), x, n)
	VROUNDPS(Imm(8), n, n)
	VFNMADD231PS(constant(0.693359375), n, x)
	VFNMADD231PS(constant(-2.12194440e-4), n, x)
	VMOVUPS(constant(1.9875691500e-4), y)
	for _, c := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		VFMADD213PS(constant(c), x, y)
	}
	VMULPS(x, x, r2)
	VFMADD213PS(x, r2, y)
	VADDPS(constant(1), y, y)
	VCVTPS2DQ(n, n)
	VPSLLD(Imm(23), n, n)
	VPADDD(n, y, x)
}

func dot() {
	TEXT("dotAVX", NOSPLIT, "func(x, y *float32, n int) float32")
	Pragma("noescape")
	x, y, n := Load(Param("x"), GP64()), Load(Param("y"), GP64()), Load(Param("n"), GP64())
	s, v := zero(), YMM()
	each("dot", n, []Register{x, y}, func() {
		VMOVUPS(Mem{Base: x}, v)
		VFMADD231PS(Mem{Base: y}, v, s)
	})
	Store(sum(s), ReturnIndex(0))
	finish()
}

func add() {
	TEXT("addAVX", NOSPLIT, "func(x, y *float32, n int)")
	Pragma("noescape")
	x, y, n := Load(Param("x"), GP64()), Load(Param("y"), GP64()), Load(Param("n"), GP64())
	v := YMM()
	each("add", n, []Register{x, y}, func() {
		VMOVUPS(Mem{Base: x}, v)
		VADDPS(Mem{Base: y}, v, v)
		VMOVUPS(v, Mem{Base: x})
	})
	finish()
}

func axpy() {
	TEXT("axpyAVX", NOSPLIT, "func(y, x *float32, n int, a float32)")
	Pragma("noescape")
	y, x, n := Load(Param("y"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	a, v := broadcast("a"), YMM()
	each("axpy", n, []Register{x, y}, func() {
		VMOVUPS(Mem{Base: y}, v)
		VFMADD231PS(Mem{Base: x}, a, v)
		VMOVUPS(v, Mem{Base: y})
	})
	finish()
}

func scale() {
	TEXT("scaleAVX", NOSPLIT, "func(x *float32, n int, s float32)")
	Pragma("noescape")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	s, v := broadcast("s"), YMM()
	each("scale", n, []Register{x}, func() {
		VMULPS(Mem{Base: x}, s, v)
		VMOVUPS(v, Mem{Base: x})
	})
	finish()
}

func maximum() {
	TEXT("maximumAVX", NOSPLIT, "func(x *float32, n int) float32")
	Pragma("noescape")
	p, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	y := YMM()
	VMOVUPS(Mem{Base: p}, y)
	each("maximum", n, []Register{p}, func() { VMAXPS(Mem{Base: p}, y, y) })
	x, h := y.AsX(), XMM()
	VEXTRACTF128(Imm(1), y, h)
	VMAXPS(h, x, x)
	VMOVHLPS(x, x, h)
	VMAXPS(h, x, x)
	VMOVSHDUP(x, h)
	VMAXSS(h, x, x)
	Store(x, ReturnIndex(0))
	finish()
}

func expSum() {
	TEXT("expSumAVX", NOSPLIT, "func(x *float32, n int, s, m float32) float32")
	Pragma("noescape")
	p, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	s, m := broadcast("s"), broadcast("m")
	total := zero()
	each("expSum", n, []Register{p}, func() {
		x := YMM()
		VMOVUPS(Mem{Base: p}, x)
		VFMSUB213PS(m, s, x)
		exp(x)
		VADDPS(x, total, total)
		VMOVUPS(x, Mem{Base: p})
	})
	Store(sum(total), ReturnIndex(0))
	finish()
}

func expSum64() {
	TEXT("expSum64AVX", NOSPLIT, "func(x *float32, n int, m float32) float64")
	Pragma("noescape")
	p, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	m := broadcast("m")
	total := zero()
	each("expSum64", n, []Register{p}, func() {
		x, wide, high := YMM(), YMM(), XMM()
		VMOVUPS(Mem{Base: p}, x)
		VSUBPS(m, x, x)
		exp(x)
		VCVTPS2PD(x.AsX(), wide)
		VADDPD(wide, total, total)
		VEXTRACTF128(Imm(1), x, high)
		VCVTPS2PD(high, wide)
		VADDPD(wide, total, total)
	})
	Store(sum64(total), ReturnIndex(0))
	finish()
}

func sumSquares() {
	TEXT("sumSquaresAVX", NOSPLIT, "func(x *float32, n int) float64")
	Pragma("noescape")
	p, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	even, odd := zero(), zero()
	each("sumSquares", n, []Register{p}, func() {
		a, b := YMM(), YMM()
		VCVTPS2PD(Mem{Base: p}, a)
		VCVTPS2PD(Mem{Base: p, Disp: 16}, b)
		VFMADD231PD(a, a, even)
		VFMADD231PD(b, b, odd)
	})
	VADDPD(odd, even, even)
	Store(sum64(even), ReturnIndex(0))
	finish()
}

func softmaxGrad() {
	TEXT("softmaxGradAVX", NOSPLIT, "func(dp, p *float32, n int, d, s float32)")
	Pragma("noescape")
	dp, p, n := Load(Param("dp"), GP64()), Load(Param("p"), GP64()), Load(Param("n"), GP64())
	d, s, v := broadcast("d"), broadcast("s"), YMM()
	each("softmaxGrad", n, []Register{dp, p}, func() {
		VMOVUPS(Mem{Base: dp}, v)
		VSUBPS(d, v, v)
		VMULPS(Mem{Base: p}, v, v)
		VMULPS(s, v, v)
		VMOVUPS(v, Mem{Base: dp})
	})
	finish()
}

func normScale() {
	TEXT("normScaleAVX", NOSPLIT, "func(y, x, w *float32, n int, r float32)")
	Pragma("noescape")
	y, x, w, n := Load(Param("y"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64()), Load(Param("n"), GP64())
	r, v := broadcast("r"), YMM()
	each("normScale", n, []Register{y, x, w}, func() {
		VMULPS(Mem{Base: x}, r, v)
		VMULPS(Mem{Base: w}, v, v)
		VMOVUPS(v, Mem{Base: y})
	})
	finish()
}

func normGradWeight() {
	TEXT("normGradWeightAVX", NOSPLIT, "func(dw, dy, x, w *float32, n int, r float32) float32")
	Pragma("noescape")
	dw, dy, x, w, n := Load(Param("dw"), GP64()), Load(Param("dy"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64()), Load(Param("n"), GP64())
	r, s, a, b := broadcast("r"), zero(), YMM(), YMM()
	each("normGradWeight", n, []Register{dw, dy, x, w}, func() {
		VMOVUPS(Mem{Base: dy}, a)
		VMULPS(Mem{Base: x}, a, a)
		VFMADD231PS(Mem{Base: w}, a, s)
		VMOVUPS(Mem{Base: dw}, b)
		VFMADD231PS(r, a, b)
		VMOVUPS(b, Mem{Base: dw})
	})
	Store(sum(s), ReturnIndex(0))
	finish()
}

func normGradInput() {
	TEXT("normGradInputAVX", NOSPLIT, "func(dx, dy, x, w *float32, n int, r, c float32)")
	Pragma("noescape")
	dx, dy, x, w, n := Load(Param("dx"), GP64()), Load(Param("dy"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64()), Load(Param("n"), GP64())
	r, c, a, b := broadcast("r"), broadcast("c"), YMM(), YMM()
	each("normGradInput", n, []Register{dx, dy, x, w}, func() {
		VMOVUPS(Mem{Base: dy}, a)
		VMULPS(Mem{Base: w}, a, a)
		VMOVUPS(Mem{Base: dx}, b)
		VFMADD231PS(r, a, b)
		VFNMADD231PS(Mem{Base: x}, c, b)
		VMOVUPS(b, Mem{Base: dx})
	})
	finish()
}

func swiGLU() {
	TEXT("swiGLUAVX", NOSPLIT, "func(h, gate, up *float32, n int)")
	Pragma("noescape")
	h, g, u, n := Load(Param("h"), GP64()), Load(Param("gate"), GP64()), Load(Param("up"), GP64()), Load(Param("n"), GP64())
	each("swiGLU", n, []Register{h, g, u}, func() {
		x, e := YMM(), zero()
		VMOVUPS(Mem{Base: g}, x)
		VSUBPS(x, e, e)
		exp(e)
		VADDPS(constant(1), e, e)
		VDIVPS(e, x, x)
		VMULPS(Mem{Base: u}, x, x)
		VMOVUPS(x, Mem{Base: h})
	})
	finish()
}

// swiGLUGrad: with s = sigmoid(gate), up becomes dh*gate*s and gate becomes
// dh*up*s*(1+gate*(1-s)).
func swiGLUGrad() {
	TEXT("swiGLUGradAVX", NOSPLIT, "func(dh, gate, up *float32, n int)")
	Pragma("noescape")
	dh, g, u, n := Load(Param("dh"), GP64()), Load(Param("gate"), GP64()), Load(Param("up"), GP64()), Load(Param("n"), GP64())
	each("swiGLUGrad", n, []Register{dh, g, u}, func() {
		x, s, t, d := YMM(), zero(), YMM(), YMM()
		VMOVUPS(Mem{Base: g}, x)
		VSUBPS(x, s, s)
		exp(s)
		VADDPS(constant(1), s, s)
		VMOVUPS(constant(1), t)
		VDIVPS(s, t, s)
		VMULPS(Mem{Base: dh}, s, d) // dh*s
		VSUBPS(s, t, t)
		VFMADD213PS(constant(1), x, t) // 1 + gate*(1-s)
		VMULPS(d, t, t)
		VMULPS(Mem{Base: u}, t, t)
		VMULPS(x, d, d)
		VMOVUPS(t, Mem{Base: g})
		VMOVUPS(d, Mem{Base: u})
	})
	finish()
}

func rotate() {
	TEXT("rotateAVX", NOSPLIT, "func(x, cos, sin *float32, n, heads, half int, sign float32)")
	Pragma("noescape")
	x, heads, half := Load(Param("x"), GP64()), Load(Param("heads"), GP64()), Load(Param("half"), GP64())
	sign := broadcast("sign")
	SHLQ(Imm(2), half) // in bytes
	Label("rotate_head")
	a, b, n := GP64(), GP64(), Load(Param("n"), GP64())
	cos, sin := Load(Param("cos"), GP64()), Load(Param("sin"), GP64())
	MOVQ(x, a)
	LEAQ(Mem{Base: x, Index: half, Scale: 1}, b)
	LEAQ(Mem{Base: x, Index: half, Scale: 2}, x)
	each("rotate", n, []Register{a, b, cos, sin}, func() {
		x, y, c, s, u, v := YMM(), YMM(), YMM(), YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: a}, x)
		VMOVUPS(Mem{Base: b}, y)
		VMOVUPS(Mem{Base: cos}, c)
		VMULPS(Mem{Base: sin}, sign, s)
		VMULPS(y, s, u)
		VFMSUB231PS(x, c, u)
		VMULPS(x, s, v)
		VFMADD231PS(y, c, v)
		VMOVUPS(u, Mem{Base: a})
		VMOVUPS(v, Mem{Base: b})
	})
	DECQ(heads)
	JNZ(LabelRef("rotate_head"))
	finish()
}

// adamW takes its constants from memory, in the order of the Go structure. Moments are
// beta*m + (1-beta)*g and not the shorter beta*(m-g) + g, which loses the bits of a moment
// that is small beside g.
func adamW() {
	TEXT("adamWAVX", NOSPLIT, "func(p, grad, m, v *float32, n int, constants *float32)")
	Pragma("noescape")
	p, g, m, v, n := Load(Param("p"), GP64()), Load(Param("grad"), GP64()), Load(Param("m"), GP64()), Load(Param("v"), GP64()), Load(Param("n"), GP64())
	at := Load(Param("constants"), GP64())
	constant := func(i int) VecVirtual {
		y := YMM()
		VBROADCASTSS(Mem{Base: at, Disp: 4 * i}, y)
		return y
	}
	scale, rate, root, eps, decay := constant(0), constant(5), constant(6), constant(7), constant(8)
	beta1, rest1, beta2, rest2 := constant(1), constant(2), constant(3), constant(4)
	x, a, b, q := YMM(), YMM(), YMM(), YMM()
	each("adamW", n, []Register{p, g, m, v}, func() {
		VMULPS(Mem{Base: g}, scale, x)
		VMULPS(Mem{Base: m}, beta1, a)
		VFMADD231PS(x, rest1, a)
		VMOVUPS(a, Mem{Base: m})
		VMULPS(x, x, x)
		VMULPS(Mem{Base: v}, beta2, b)
		VFMADD231PS(x, rest2, b)
		VMOVUPS(b, Mem{Base: v})
		VSQRTPS(b, b)
		VFMADD213PS(eps, root, b) // sqrt(v)*root + eps
		VMULPS(rate, a, a)
		VDIVPS(b, a, a)
		VMOVUPS(Mem{Base: p}, q)
		VFNMADD231PS(decay, q, q) // p -= decay*p
		VSUBPS(a, q, q)
		VMOVUPS(q, Mem{Base: p})
	})
	finish()
}
