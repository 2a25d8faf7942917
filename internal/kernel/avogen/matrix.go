package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// unroll is how many values of k a loop iteration takes.
const unroll = 4

// multiply emits a micro-kernel: rows × 16 elements of C, held in registers, one fused
// multiply-add per element and value of k, in the order of k. Strides are in bytes.
func multiply(rows int) {
	name := fmt.Sprintf("multiply%d", rows)
	TEXT(name, NOSPLIT, "func(k int, a *float32, lda, ks int, panel, c *float32, ldc int, add int)")
	Doc(fmt.Sprintf("%s computes %d rows of 16 columns.", name, rows))
	k, a := Load(Param("k"), GP64()), Load(Param("a"), GP64())
	lda, ks := Load(Param("lda"), GP64()), Load(Param("ks"), GP64())
	panel, c := Load(Param("panel"), GP64()), Load(Param("c"), GP64())
	ldc, accumulate := Load(Param("ldc"), GP64()), Load(Param("add"), GP64())

	// Rows 0, 1, 2 are addressed from a; rows 3, 4, 5 from a second base.
	second := a
	if rows > 3 {
		second = GP64()
		LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, second)
		ADDQ(a, second)
	}
	element := func(row int) Mem {
		base := a
		if row >= 3 {
			base, row = second, row-3
		}
		if row == 0 {
			return Mem{Base: base}
		}
		return Mem{Base: base, Index: lda, Scale: uint8(row)}
	}
	var sum [6][2]VecVirtual
	for r := range rows {
		for h := range 2 {
			sum[r][h] = YMM()
			VXORPS(sum[r][h], sum[r][h], sum[r][h])
		}
	}
	left, right, value := YMM(), YMM(), [2]VecVirtual{YMM(), YMM()}
	step := func(i int) {
		VMOVUPS(Mem{Base: panel, Disp: i * 64}, left)
		VMOVUPS(Mem{Base: panel, Disp: i*64 + 32}, right)
		for r := range rows {
			v := value[r%2]
			VBROADCASTSS(element(r), v)
			VFMADD231PS(left, v, sum[r][0])
			VFMADD231PS(right, v, sum[r][1])
		}
		ADDQ(ks, a)
		if rows > 3 {
			ADDQ(ks, second)
		}
	}
	overK(name, k, func() {
		for i := range unroll {
			step(i)
		}
		ADDQ(U32(unroll*64), panel)
	}, func() {
		step(0)
		ADDQ(Imm(64), panel)
	})
	TESTQ(accumulate, accumulate)
	JZ(LabelRef(name + "_store"))
	at := GP64()
	MOVQ(c, at)
	for r := range rows {
		VADDPS(Mem{Base: at}, sum[r][0], sum[r][0])
		VADDPS(Mem{Base: at, Disp: 32}, sum[r][1], sum[r][1])
		if r < rows-1 {
			ADDQ(ldc, at)
		}
	}
	Label(name + "_store")
	for r := range rows {
		VMOVUPS(sum[r][0], Mem{Base: c})
		VMOVUPS(sum[r][1], Mem{Base: c, Disp: 32})
		if r < rows-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}

// overK emits a loop over k: many takes unroll values, one the rest.
func overK(name string, k Register, many, one func()) {
	SUBQ(Imm(unroll), k)
	JLT(LabelRef(name + "_rest"))
	Label(name + "_many")
	many()
	SUBQ(Imm(unroll), k)
	JGE(LabelRef(name + "_many"))
	Label(name + "_rest")
	ADDQ(Imm(unroll), k)
	JLE(LabelRef(name + "_done"))
	Label(name + "_one")
	one()
	DECQ(k)
	JNZ(LabelRef(name + "_one"))
	Label(name + "_done")
}

// multiplyRow emits one row against four panels that lie stride bytes apart: eight
// independent sums keep both multipliers busy.
func multiplyRow() {
	const name = "multiplyRow4"
	TEXT(name, NOSPLIT, "func(k int, a *float32, ks int, panels *float32, stride int, c *float32, add int)")
	Doc(name + " computes one row of 64 columns.")
	k, a, ks := Load(Param("k"), GP64()), Load(Param("a"), GP64()), Load(Param("ks"), GP64())
	p0, stride := Load(Param("panels"), GP64()), Load(Param("stride"), GP64())
	c, accumulate := Load(Param("c"), GP64()), Load(Param("add"), GP64())
	p2 := GP64()
	LEAQ(Mem{Base: p0, Index: stride, Scale: 2}, p2)
	panel := func(p, disp int) Mem {
		m := Mem{Base: p0, Disp: disp}
		if p >= 2 {
			m.Base = p2
		}
		if p%2 == 1 {
			m.Index, m.Scale = stride, 1
		}
		return m
	}
	var sum [8]VecVirtual
	for i := range sum {
		sum[i] = YMM()
		VXORPS(sum[i], sum[i], sum[i])
	}
	value := YMM()
	step := func(i int) {
		VBROADCASTSS(Mem{Base: a}, value)
		for p := range 4 {
			VFMADD231PS(panel(p, i*64), value, sum[2*p])
			VFMADD231PS(panel(p, i*64+32), value, sum[2*p+1])
		}
		ADDQ(ks, a)
	}
	advance := func(n int) {
		ADDQ(U32(uint32(n*64)), p0)
		ADDQ(U32(uint32(n*64)), p2)
	}
	overK(name, k, func() {
		for i := range unroll {
			step(i)
		}
		advance(unroll)
	}, func() {
		step(0)
		advance(1)
	})
	TESTQ(accumulate, accumulate)
	JZ(LabelRef(name + "_store"))
	for i := range sum {
		VADDPS(Mem{Base: c, Disp: i * 32}, sum[i], sum[i])
	}
	Label(name + "_store")
	for i := range sum {
		VMOVUPS(sum[i], Mem{Base: c, Disp: i * 32})
	}
	VZEROUPPER()
	RET()
}

// copyColumns emits dst[x][0:16] = src[x*ld:][0:16] for k rows.
func copyColumns() {
	TEXT("copyColumns16", NOSPLIT, "func(dst, src *float32, ld, k int)")
	Doc("copyColumns16 copies 16 columns of k rows; ld is in bytes.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	ld, k := Load(Param("ld"), GP64()), Load(Param("k"), GP64())
	left, right := YMM(), YMM()
	Label("copyColumns16_loop")
	VMOVUPS(Mem{Base: src}, left)
	VMOVUPS(Mem{Base: src, Disp: 32}, right)
	VMOVUPS(left, Mem{Base: dst})
	VMOVUPS(right, Mem{Base: dst, Disp: 32})
	ADDQ(ld, src)
	ADDQ(Imm(64), dst)
	DECQ(k)
	JNZ(LabelRef("copyColumns16_loop"))
	VZEROUPPER()
	RET()
}

// transpose8 emits the transposition of an 8×8 block; strides are in bytes.
func transpose8() {
	TEXT("transpose8", NOSPLIT, "func(dst *float32, ldd int, src *float32, lds int)")
	Doc("transpose8 transposes an 8x8 block; strides are in bytes.")
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	src, lds := Load(Param("src"), GP64()), Load(Param("lds"), GP64())
	var row, pair, quad [8]VecVirtual
	for i := range row {
		row[i] = YMM()
		VMOVUPS(Mem{Base: src}, row[i])
		if i < 7 {
			ADDQ(lds, src)
		}
	}
	for i := 0; i < 8; i += 2 {
		pair[i], pair[i+1] = YMM(), YMM()
		VUNPCKLPS(row[i+1], row[i], pair[i])
		VUNPCKHPS(row[i+1], row[i], pair[i+1])
	}
	for i := 0; i < 8; i += 4 {
		for j := range 2 {
			low, high := YMM(), YMM()
			VSHUFPS(Imm(0x44), pair[i+j+2], pair[i+j], low)
			VSHUFPS(Imm(0xee), pair[i+j+2], pair[i+j], high)
			quad[i+2*j], quad[i+2*j+1] = low, high
		}
	}
	for i := range 8 {
		out := YMM()
		select8 := Imm(0x20)
		if i >= 4 {
			select8 = Imm(0x31)
		}
		VPERM2F128(select8, quad[4+i%4], quad[i%4], out)
		VMOVUPS(out, Mem{Base: dst})
		if i < 7 {
			ADDQ(ldd, dst)
		}
	}
	VZEROUPPER()
	RET()
}
