package kernel

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

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

// Kernels that run without AVX-512 must not use what only AVX-512 encodes: registers above 15,
// ZMM, masks, operands that are broadcast. The assembler takes them everywhere, and a processor
// that has AVX-512 runs them.
func TestAVX2IsEncodableWithoutAVX512(t *testing.T) {
	source, err := os.ReadFile("kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	evex := regexp.MustCompile(`\b([XY](1[6-9]|2[0-9]|3[01])|Z[0-9]+|K[0-7])\b|\.BCST\b`)
	for _, function := range strings.Split(string(source), "\nTEXT ")[1:] {
		name, _, _ := strings.Cut(function, "(")
		if !strings.HasSuffix(name, "AVX512") {
			if bad := evex.FindString(function); bad != "" {
				t.Errorf("%s uses %s", name, bad)
			}
		}
	}
}
