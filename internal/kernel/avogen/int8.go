package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// int8Ahead is how far ahead of their use bytes are asked for.
const int8Ahead = 1024

// widenInt8 loads eight bytes and multiplies them by their scales.
func widenInt8(src Mem, scales, wide VecVirtual) {
	VPMOVSXBD(src, wide)
	VCVTDQ2PS(wide, wide)
	VMULPS(scales, wide, wide)
}

// multiplyInt8 emits the product of a row of A with panels of bytes, each sum one chain over k.
func multiplyInt8(panels int) {
	name := fmt.Sprintf("multiplyInt8x%d", panels*16)
	TEXT(name, NOSPLIT, "func(k int, a *float32, b *int8, stride int, scales *float32, scaleStride int, c *float32, add int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s multiplies a row of k values by %d panels of bytes, stride bytes apart, and their scales.", name, panels))
	k, a := Load(Param("k"), GP64()), Load(Param("a"), GP64())
	b, scales := Load(Param("b"), GP64()), Load(Param("scales"), GP64())
	bs, ss := []Register{b}, []Register{scales}
	for p := 1; p < panels; p++ {
		nextB, nextS := GP64(), GP64()
		Load(Param("stride"), nextB)
		ADDQ(bs[p-1], nextB)
		Load(Param("scaleStride"), nextS)
		ADDQ(ss[p-1], nextS)
		bs, ss = append(bs, nextB), append(ss, nextS)
	}
	var sum, scale []VecVirtual
	for p := range panels {
		for half := range 2 {
			sum = append(sum, zero())
			v := YMM()
			VMOVUPS(Mem{Base: ss[p], Disp: 32 * half}, v)
			scale = append(scale, v)
		}
	}
	step := func(i int) {
		v := YMM()
		VBROADCASTSS(Mem{Base: a, Disp: 4 * i}, v)
		for q := range sum {
			wide := YMM()
			widenInt8(Mem{Base: bs[q/2], Disp: 16*i + 8*(q%2)}, scale[q], wide)
			VFMADD231PS(wide, v, sum[q])
		}
	}
	advance := func(n int) {
		ADDQ(Imm(uint64(4*n)), a)
		for _, p := range bs {
			ADDQ(Imm(uint64(16*n)), p)
		}
	}
	overK(name, k, func() {
		for _, p := range bs {
			PREFETCHT0(Mem{Base: p, Disp: int8Ahead})
		}
		for i := range unroll {
			step(i)
		}
		advance(unroll)
	}, func() {
		step(0)
		advance(1)
	})
	c, accumulate := Load(Param("c"), GP64()), Load(Param("add"), GP64())
	TESTQ(accumulate, accumulate)
	JZ(LabelRef(name + "_store"))
	for q, v := range sum {
		VADDPS(Mem{Base: c, Disp: 32 * q}, v, v)
	}
	Label(name + "_store")
	for q, v := range sum {
		VMOVUPS(v, Mem{Base: c, Disp: 32 * q})
	}
	VZEROUPPER()
	RET()
}

// widenInt8Panel emits the widening of k rows of a panel of bytes.
func widenInt8Panel() {
	const name = "widenInt8Panel"
	TEXT(name, NOSPLIT, "func(dst *float32, b *int8, scales *float32, k int)")
	Pragma("noescape")
	Doc(name + " writes k rows of a panel of bytes times their scales.")
	dst, b := Load(Param("dst"), GP64()), Load(Param("b"), GP64())
	scales, k := Load(Param("scales"), GP64()), Load(Param("k"), GP64())
	scale := [2]VecVirtual{YMM(), YMM()}
	for half, v := range scale {
		VMOVUPS(Mem{Base: scales, Disp: 32 * half}, v)
	}
	Label(name + "_loop")
	for half, v := range scale {
		wide := YMM()
		widenInt8(Mem{Base: b, Disp: 8 * half}, v, wide)
		VMOVUPS(wide, Mem{Base: dst, Disp: 32 * half})
	}
	ADDQ(Imm(16), b)
	ADDQ(Imm(64), dst)
	DECQ(k)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}
