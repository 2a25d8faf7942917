package kernel

import "testing"

// atEveryLevel runs a test with each set of kernels that this processor has.
func atEveryLevel(t *testing.T, test func(t *testing.T)) {
	hasAVX2, hasAVX512 := detect("")
	defer func(f, w bool, rows int) { fast, wide, tallest = f, w, rows }(fast, wide, tallest)
	for _, level := range []struct {
		name       string
		fast, wide bool
	}{{"portable", false, false}, {"avx2", true, false}, {"avx512", true, true}} {
		if level.fast && !hasAVX2 || level.wide && !hasAVX512 {
			continue
		}
		fast, wide, tallest = level.fast, level.wide, tallestFor(level.wide)
		if Level() != level.name {
			t.Fatalf("Level() = %q, want %q", Level(), level.name)
		}
		t.Run(level.name, test)
	}
}

func TestDetect(t *testing.T) {
	if avx2, avx512 := detect("portable"); avx2 || avx512 {
		t.Error("portable asks for no assembly")
	}
	if _, avx512 := detect("avx2"); avx512 {
		t.Error("avx2 asks for no AVX-512")
	}
}
