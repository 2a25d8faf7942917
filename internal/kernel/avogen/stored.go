package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// word is how a matrix is stored, seen as words of 32 bits: eight of them, of eight rows, in a
// register.
type word struct {
	suffix string
	values int // in a word
	// spread prepares a register for widen, which gives the values i of its words.
	spread func(words VecVirtual)
	widen  func(words VecVirtual, i int) VecVirtual
}

var words = []word{
	{"F32", 1, func(VecVirtual) {}, func(w VecVirtual, _ int) VecVirtual { return w }},
	{"F16", 2, func(w VecVirtual) {
		VPSHUFB(halvesApart(), w, w)
		VPERMQ(Imm(0xd8), w, w)
	}, func(w VecVirtual, i int) VecVirtual {
		wide, half := YMM(), w.AsX()
		if i == 1 {
			second := XMM()
			VEXTRACTI128(Imm(1), w, second)
			half = second
		}
		VCVTPH2PS(half, wide)
		return wide
	}},
	{"BF16", 2, func(VecVirtual) {}, func(w VecVirtual, i int) VecVirtual {
		wide := YMM()
		if i == 0 {
			VPSLLD(Imm(16), w, wide)
		} else {
			VPAND(upperHalves(), w, wide)
		}
		return wide
	}},
}

var apart, upper Mem

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

// upperHalves is a mask of the upper halves of eight words.
func upperHalves() Mem {
	if upper.Symbol.Name == "" {
		upper = GLOBL("upperHalves", RODATA|NOPTR)
		for i := range 4 {
			DATA(8*i, U64(0xffff0000ffff0000))
		}
	}
	return upper
}

// transposeWords loads four words, disp bytes from the start, of each of eight rows and gives four
// registers, each a word of all rows. Rows four apart are halves of one register, so nothing
// crosses from half to half.
func transposeWords(at [8]Mem, disp int) [4]VecVirtual {
	var row, pair, out [4]VecVirtual
	for i := range row {
		row[i] = YMM()
		low, high := at[i], at[i+4]
		low.Disp, high.Disp = disp, disp
		VBROADCASTF128(low, row[i]) // as fast as half of it, and avo sees that all of it is set
		VINSERTF128(Imm(1), high, row[i], row[i])
	}
	for i := 0; i < 4; i += 2 {
		pair[i], pair[i+1] = YMM(), YMM()
		VUNPCKLPS(row[i+1], row[i], pair[i])
		VUNPCKHPS(row[i+1], row[i], pair[i+1])
	}
	for i := range out {
		out[i] = YMM()
		half := Imm(0x44)
		if i%2 == 1 {
			half = Imm(0xee)
		}
		VSHUFPS(half, pair[2+i/2], pair[i/2], out[i])
	}
	return out
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
		base := first
		for g := range groups {
			if g > 0 {
				next := GP64()
				LEAQ(Mem{Base: base, Index: lds, Scale: 8}, next)
				base = next
			}
			second := GP64()
			LEAQ(Mem{Base: base, Index: lds, Scale: 1}, second)
			f(g, [8]Mem{{Base: base}, {Base: second}, {Base: base, Index: lds, Scale: 2}, {Base: second, Index: lds, Scale: 2},
				{Base: base, Index: lds, Scale: 4}, {Base: second, Index: lds, Scale: 4}, {Base: base, Index: triple, Scale: 2}, {Base: second, Index: triple, Scale: 2}})
		}
	}
	// multiply does a step; guard emits what one of its values adds, or a jump over it. Two groups
	// take turns, so that their chains run beside each other and an element of A is loaded once.
	multiply := func(guard func(i int, add func())) {
		var waiting [][8]Mem
		each(data, func(g int, at [8]Mem) {
			if waiting = append(waiting, at); len(waiting) < 2 && g < groups-1 {
				return
			}
			first := g + 1 - len(waiting)
			for half := range 2 {
				var out [][4]VecVirtual
				for _, at := range waiting {
					out = append(out, transposeWords(at, 16*half))
				}
				for i := range 4 {
					for _, o := range out {
						w.spread(o[i])
					}
					for j := range w.values {
						var wide []VecVirtual
						for _, o := range out {
							wide = append(wide, w.widen(o[i], j))
						}
						at := (4*half+i)*w.values + j
						guard(at, func() {
							for r := range sum {
								v := YMM()
								VBROADCASTSS(element(r, at), v)
								for k, x := range wide {
									VFMADD231PS(v, x, sum[r][first+k])
								}
							}
						})
					}
				}
			}
			waiting = nil
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
