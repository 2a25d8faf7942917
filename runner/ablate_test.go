package runner

import (
	"strings"
	"testing"
)

// The study holds every ablation of the paper, and the Roleplayers crossed; without a world
// whose truth is known nothing that a rule must play.
func TestDefaultAblations(t *testing.T) {
	known := strings.Join(DefaultAblations(true), " ")
	for _, want := range []string{"no-regularization", "gold-response", "response-model", "response-preamble", "roleplayer-greedy", "roleplayer-weak-silent", "several-roleplayers", "several-roleplayers+roleplayer-rule"} {
		if !strings.Contains(" "+known+" ", " "+want+" ") {
			t.Errorf("%s is missing: %s", want, known)
		}
	}
	unknown := strings.Join(DefaultAblations(false), " ")
	if unknown != "gold-response no-regularization response-model response-preamble roleplayer-greedy" {
		t.Errorf("without a known world: %s", unknown)
	}
}
