package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// word is how a matrix is stored, seen as words of 32 bits.
type word struct {
	suffix string
	values int // in a word
	// split widens the values of eight words, in order, and gives each to use.
	split func(words VecVirtual, use func(i int, wide VecVirtual))
}

var words = []word{
	{"F32", 1, func(w VecVirtual, use func(int, VecVirtual)) { use(0, w) }},
	{"F16", 2, func(w VecVirtual, use func(int, VecVirtual)) {
		VPSHUFB(halvesApart(), w, w)
		VPERMQ(Imm(0xd8), w, w)
		wide, second := YMM(), XMM()
		VCVTPH2PS(w.AsX(), wide)
		use(0, wide)
		wide = YMM()
		VEXTRACTI128(Imm(1), w, second)
		VCVTPH2PS(second, wide)
		use(1, wide)
	}},
	{"BF16", 2, func(w VecVirtual, use func(int, VecVirtual)) {
		wide := YMM()
		VPSLLD(Imm(16), w, wide)
		use(0, wide)
		wide = YMM()
		VPSRLD(Imm(16), w, wide)
		VPSLLD(Imm(16), wide, wide)
		use(1, wide)
	}},
}

var apart Mem

// halvesApart is a shuffle of bytes that brings the first halves of four words together.
func halvesApart() Mem {
	if apart.Symbol.Name == "" {
		apart = GLOBL("halvesApart", RODATA|NOPTR)
		for i := range 2 {
			DATA(16*i, U64(0x0d0c090805040100))
			DATA(16*i+8, U64(0x0f0e0b0a07060302))
		}
	}
	return apart
}

// multiplyStored emits the product of some rows of A with rows of W as they are stored, lds
// bytes apart: groups times eight of them, four chains of multiply-adds beside each other. Each
// element is one chain over k, as in multiply; so eight words of eight rows are transposed in
// registers. What limits it is memory: the rows at ahead, those of the next call, are asked for
// at the pace at which these are used.
func multiplyStored(rows, groups int, w word) {
	name := fmt.Sprintf("multiplyStored%dx%d%s", rows, groups*8, w.suffix)
	step := 8 * w.values
	TEXT(name, NOSPLIT, "func(k int, a *float32, lda int, w *byte, lds int, ahead *byte, c *float32, ldc, add int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s multiplies %d rows of A of at least %d values by %d rows of W, lds bytes apart,", name, rows, step, groups*8),
		"and asks for the rows at ahead.")
	k, a := Load(Param("k"), GP64()), Load(Param("a"), GP64())
	data, lds := Load(Param("w"), GP64()), Load(Param("lds"), GP64())
	ahead, triple := Load(Param("ahead"), GP64()), GP64()
	LEAQ(Mem{Base: lds, Index: lds, Scale: 2}, triple)
	lda, last := GP64(), GP64() // last: row 3 of A
	if rows > 1 {
		Load(Param("lda"), lda)
	}
	if rows > 3 {
		LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, last)
		ADDQ(a, last)
	}
	element := func(r, i int) Mem {
		m := Mem{Base: a, Disp: 4 * i}
		switch r {
		case 1, 2:
			m.Index, m.Scale = lda, uint8(r)
		case 3:
			m.Base = last
		}
		return m
	}
	sum := make([][]VecVirtual, rows)
	for r := range sum {
		for range groups {
			sum[r] = append(sum[r], zero())
		}
	}
	// each gives f the places of eight rows of W from first on, group by group.
	each := func(first Register, f func(g int, at [8]Mem)) {
		base, second := first, GP64()
		for g := range groups {
			if g > 0 {
				next := GP64()
				LEAQ(Mem{Base: base, Index: lds, Scale: 8}, next)
				base = next
			}
			LEAQ(Mem{Base: base, Index: lds, Scale: 1}, second)
			f(g, [8]Mem{{Base: base}, {Base: second}, {Base: base, Index: lds, Scale: 2}, {Base: second, Index: lds, Scale: 2},
				{Base: base, Index: lds, Scale: 4}, {Base: second, Index: lds, Scale: 4}, {Base: base, Index: triple, Scale: 2}, {Base: second, Index: triple, Scale: 2}})
		}
	}
	// multiply does a step; guard emits what one of its values adds, or a jump over it.
	multiply := func(guard func(i int, add func())) {
		each(data, func(g int, at [8]Mem) {
			var row [8]VecVirtual
			for i := range row {
				row[i] = YMM()
				VMOVUPS(at[i], row[i])
			}
			transposeRows(row, func(i int, out VecVirtual) {
				w.split(out, func(j int, wide VecVirtual) {
					guard(i*w.values+j, func() {
						for r := range sum {
							v := YMM()
							VBROADCASTSS(element(r, i*w.values+j), v)
							VFMADD231PS(v, wide, sum[r][g])
						}
					})
				})
			})
		})
	}
	move := func(by func(p Register, bytes int)) {
		by(data, 4/w.values)
		by(a, 4)
		if rows > 3 {
			by(last, 4)
		}
	}

	SUBQ(Imm(uint64(step)), k)
	Label(name + "_many")
	each(ahead, func(_ int, at [8]Mem) {
		for _, m := range at {
			PREFETCHT0(m)
		}
	})
	multiply(func(_ int, add func()) { add() })
	move(func(p Register, bytes int) { ADDQ(Imm(uint64(step*bytes)), p) })
	ADDQ(Imm(32), ahead)
	SUBQ(Imm(uint64(step)), k)
	JGE(LabelRef(name + "_many"))

	// The last step again, ending with the row; done of its values have been.
	done := k
	NEGQ(done)
	CMPQ(done, Imm(uint64(step)))
	JE(LabelRef(name + "_done"))
	move(func(p Register, bytes int) {
		back := GP64()
		MOVQ(done, back)
		SHLQ(Imm(map[int]uint64{2: 1, 4: 2}[bytes]), back)
		SUBQ(back, p)
	})
	jumps := 0
	multiply(func(i int, add func()) {
		jumps++
		over := fmt.Sprintf("%s_over%d", name, jumps)
		CMPQ(done, Imm(uint64(i)))
		JGT(LabelRef(over))
		add()
		Label(over)
	})
	Label(name + "_done")

	c, accumulate := Load(Param("c"), GP64()), Load(Param("add"), GP64())
	ldc := GP64()
	if rows > 1 {
		Load(Param("ldc"), ldc)
	}
	TESTQ(accumulate, accumulate)
	JZ(LabelRef(name + "_store"))
	at := GP64()
	MOVQ(c, at)
	for r := range sum {
		for g, v := range sum[r] {
			VADDPS(Mem{Base: at, Disp: 32 * g}, v, v)
		}
		if r < rows-1 {
			ADDQ(ldc, at)
		}
	}
	Label(name + "_store")
	for r := range sum {
		for g, v := range sum[r] {
			VMOVUPS(v, Mem{Base: c, Disp: 32 * g})
		}
		if r < rows-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}
