package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// unroll is how many values of k a loop iteration takes.
const unroll = 4

// A vector unit: how a micro-kernel of one instruction set holds sixteen columns.
type unit struct {
	suffix    string
	registers int // vector registers that hold the columns of one panel
	file      int // vector registers there are; avo would take more, which AVX2 cannot encode
	new       func() VecVirtual
	zero      func(VecVirtual)
}

var (
	avx2 = unit{"AVX2", 2, 16, YMM, func(v VecVirtual) { VXORPS(v, v, v) }}
	// VXORPS of ZMM registers would ask for AVX512DQ.
	avx512 = unit{"AVX512", 1, 32, ZMM, func(v VecVirtual) { VPXORD(v, v, v) }}
)

// bytes is the size of a register.
func (u unit) bytes() int { return 64 / u.registers }

// multiply emits a micro-kernel: rows × panels·16 elements of C, held in registers, one
// fused multiply-add per element and value of k, in the order of k. It does so for several
// tiles of rows, one below the other in C and next bytes apart in A. Strides are in bytes.
//
// A multiply-add is ready after four cycles and two start per cycle (one of AVX-512 on
// Zen 4): fewer than eight (four) sums leave the unit waiting, which is why few rows are
// multiplied with several panels. And a cycle has two loads: with one panel of AVX-512 a
// multiply-add needs more than one, with two panels five loads serve eight, so that many
// rows take two panels there as well.
func (u unit) multiply(rows, panels int) {
	name := fmt.Sprintf("multiply%dx%d%s", rows, panels*16, u.suffix)
	TEXT(name, NOSPLIT, "func(tiles, k int, a *float32, lda, ks, next int, b *float32, stride int, c *float32, ldc int, add int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s multiplies tiles of %d rows of A by %d panels of B, stride bytes apart.", name, rows, panels))
	ks, c, ldc := Load(Param("ks"), GP64()), Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	origin, tiles := Load(Param("a"), GP64()), Load(Param("tiles"), GP64())

	lda, stride := GP64(), GP64()
	if rows > 1 {
		Load(Param("lda"), lda)
	}
	if panels > 1 {
		Load(Param("stride"), stride)
	}
	Label(name + "_tile")
	k, a, b := Load(Param("k"), GP64()), GP64(), Load(Param("b"), GP64())
	MOVQ(origin, a)

	// Row r is addressed from base r/3 by a multiple of lda.
	bases := []Register{a}
	for r := 3; r < rows; r += 3 {
		base := GP64()
		LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, base)
		ADDQ(bases[len(bases)-1], base)
		bases = append(bases, base)
	}
	element := func(r int) Mem {
		m := Mem{Base: bases[r/3]}
		if r%3 > 0 {
			m.Index, m.Scale = lda, uint8(r%3)
		}
		return m
	}
	// Panel p is addressed from every second panel.
	pairs := []Register{b}
	for p := 2; p < panels; p += 2 {
		pair := GP64()
		LEAQ(Mem{Base: pairs[len(pairs)-1], Index: stride, Scale: 2}, pair)
		pairs = append(pairs, pair)
	}
	column := func(q, disp int) Mem {
		p := q / u.registers
		m := Mem{Base: pairs[p/2], Disp: disp + q%u.registers*u.bytes()}
		if p%2 == 1 {
			m.Index, m.Scale = stride, 1
		}
		return m
	}

	columns := panels * u.registers
	sum := make([][]VecVirtual, rows)
	for r := range sum {
		for range columns {
			v := u.new()
			u.zero(v)
			sum[r] = append(sum[r], v)
		}
	}
	// Ask for C now: by the end of the loop it has come.
	ahead := GP64()
	MOVQ(c, ahead)
	for r := range rows {
		PREFETCHT0(Mem{Base: ahead})
		if r < rows-1 {
			ADDQ(ldc, ahead)
		}
	}
	values := [2]VecVirtual{u.new(), u.new()}
	step := func(i int) {
		if rows == 1 { // each column is used once: no need to hold it
			VBROADCASTSS(element(0), values[0])
			for q := range columns {
				VFMADD231PS(column(q, i*64), values[0], sum[0][q])
			}
		} else if rows*columns+columns+1 > u.file { // hold the elements of A, not those of B
			left, right := make([]VecVirtual, rows), u.new()
			for r := range left {
				left[r] = u.new()
				VBROADCASTSS(element(r), left[r])
			}
			for q := range columns {
				VMOVUPS(column(q, i*64), right)
				for r := range left {
					VFMADD231PS(right, left[r], sum[r][q])
				}
			}
		} else {
			right := make([]VecVirtual, columns)
			for q := range right {
				right[q] = u.new()
				VMOVUPS(column(q, i*64), right[q])
			}
			for r := range rows {
				if columns == 1 {
					VFMADD231PS_BCST(element(r), right[0], sum[r][0])
					continue
				}
				v := values[r%2]
				VBROADCASTSS(element(r), v)
				for q := range right {
					VFMADD231PS(right[q], v, sum[r][q])
				}
			}
		}
		for _, base := range bases {
			ADDQ(ks, base)
		}
	}
	advance := func(n int) {
		for _, pair := range pairs {
			ADDQ(U32(uint32(n*64)), pair)
		}
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

	accumulate := Load(Param("add"), GP64())
	TESTQ(accumulate, accumulate)
	JZ(LabelRef(name + "_store"))
	at := GP64()
	MOVQ(c, at)
	for r := range rows {
		for q, v := range sum[r] {
			VADDPS(Mem{Base: at, Disp: q * u.bytes()}, v, v)
		}
		if r < rows-1 {
			ADDQ(ldc, at)
		}
	}
	Label(name + "_store")
	for r := range rows {
		for q, v := range sum[r] {
			VMOVUPS(v, Mem{Base: c, Disp: q * u.bytes()})
		}
		ADDQ(ldc, c)
	}
	ADDQ(Load(Param("next"), GP64()), origin)
	DECQ(tiles)
	JNZ(LabelRef(name + "_tile"))
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

// copyColumns emits dst[x][0:n] = src[x*ld:][0:n] for k rows; ld is in bytes. n is 16 for a
// panel, and the height of a tile for Aᵀ.
func copyColumns(n int) {
	name := fmt.Sprintf("copyColumns%d", n)
	TEXT(name, NOSPLIT, "func(dst, src *float32, ld, k int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s copies %d columns of k rows; ld is in bytes.", name, n))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	ld, k := Load(Param("ld"), GP64()), Load(Param("k"), GP64())
	wide, half, pair := YMM(), XMM(), XMM()
	Label(name + "_loop")
	at := 0
	for ; at+8 <= n; at += 8 {
		VMOVUPS(Mem{Base: src, Disp: 4 * at}, wide)
		VMOVUPS(wide, Mem{Base: dst, Disp: 4 * at})
	}
	if at+4 <= n {
		VMOVUPS(Mem{Base: src, Disp: 4 * at}, half)
		VMOVUPS(half, Mem{Base: dst, Disp: 4 * at})
		at += 4
	}
	if at+2 <= n {
		VMOVSD(Mem{Base: src, Disp: 4 * at}, pair)
		VMOVSD(pair, Mem{Base: dst, Disp: 4 * at})
	}
	ADDQ(ld, src)
	ADDQ(Imm(uint64(4*n)), dst)
	DECQ(k)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

// transpose8 emits the transposition of an 8×8 block; strides are in bytes.
func transpose8() {
	TEXT("transpose8", NOSPLIT, "func(dst *float32, ldd int, src *float32, lds int)")
	Pragma("noescape")
	Doc("transpose8 transposes an 8x8 block; strides are in bytes.")
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	src, lds := Load(Param("src"), GP64()), Load(Param("lds"), GP64())
	var row [8]VecVirtual
	for i := range row {
		row[i] = YMM()
		VMOVUPS(Mem{Base: src}, row[i])
		if i < 7 {
			ADDQ(lds, src)
		}
	}
	transposeRows(row, func(i int, out VecVirtual) {
		VMOVUPS(out, Mem{Base: dst})
		if i < 7 {
			ADDQ(ldd, dst)
		}
	})
	VZEROUPPER()
	RET()
}

// transposeRows emits the transposition of eight registers and stores each of the results.
func transposeRows(row [8]VecVirtual, store func(i int, out VecVirtual)) {
	var pair, quad [8]VecVirtual
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
		store(i, out)
	}
}

// transposePanel emits the packing of a panel from 16 rows of stored elements, lds bytes apart,
// that load widens to float32: k columns, a multiple of eight, each of size bytes.
func transposePanel(name string, size int, load func(src Mem, row VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst *float32, src *byte, lds, k int)")
	Pragma("noescape")
	Doc(name + " packs k columns, a multiple of 8, of 16 rows that are lds bytes apart.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	lds, k := Load(Param("lds"), GP64()), Load(Param("k"), GP64())
	triple := GP64()
	LEAQ(Mem{Base: lds, Index: lds, Scale: 2}, triple)
	// Rows 0 and 1 of each half: the others are 2, 4 or 6 rows from one of them.
	var first, second [2]GPVirtual
	first[0] = src.(GPVirtual)
	first[1], second[0], second[1] = GP64(), GP64(), GP64()
	LEAQ(Mem{Base: src, Index: lds, Scale: 8}, first[1])
	for half := range 2 {
		LEAQ(Mem{Base: first[half], Index: lds, Scale: 1}, second[half])
	}
	Label(name + "_loop")
	for half := range 2 {
		a, b := first[half], second[half]
		at := []Mem{{Base: a}, {Base: b}, {Base: a, Index: lds, Scale: 2}, {Base: b, Index: lds, Scale: 2},
			{Base: a, Index: lds, Scale: 4}, {Base: b, Index: lds, Scale: 4}, {Base: a, Index: triple, Scale: 2}, {Base: b, Index: triple, Scale: 2}}
		var row [8]VecVirtual
		for i := range row {
			row[i] = YMM()
			load(at[i], row[i])
		}
		transposeRows(row, func(i int, out VecVirtual) { VMOVUPS(out, Mem{Base: dst, Disp: 64*i + 32*half}) })
	}
	for half := range 2 {
		ADDQ(Imm(uint64(8*size)), first[half])
		ADDQ(Imm(uint64(8*size)), second[half])
	}
	ADDQ(U32(512), dst)
	SUBQ(Imm(8), k)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

// widenPanel emits the packing of 16 columns of k rows of stored elements, lds bytes apart, that
// load widens to float32, each of size bytes.
func widenPanel(name string, size int, load func(src Mem, row VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst *float32, src *byte, lds, k int)")
	Pragma("noescape")
	Doc(name + " packs 16 columns of k rows that are lds bytes apart.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	lds, k := Load(Param("lds"), GP64()), Load(Param("k"), GP64())
	half := [2]VecVirtual{YMM(), YMM()}
	Label(name + "_loop")
	for i, v := range half {
		load(Mem{Base: src, Disp: 8 * i * size}, v)
		VMOVUPS(v, Mem{Base: dst, Disp: 32 * i})
	}
	ADDQ(lds, src)
	ADDQ(Imm(64), dst)
	DECQ(k)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

func loadF32(src Mem, row VecVirtual) { VMOVUPS(src, row) }

func loadF16(src Mem, row VecVirtual) { VCVTPH2PS(src, row) }

func loadBF16(src Mem, row VecVirtual) {
	VPMOVZXWD(src, row)
	VPSLLD(Imm(16), row, row)
}
