package local_test

import (
	"slices"
	"strings"
	"testing"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/nano"
)

// The text side alone prepares the same data as the whole model.
func TestTextIsTheModels(t *testing.T) {
	dir, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	m, err := local.Open(dir, local.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text, err := local.OpenTextFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	chat := lm.Chat{{Role: lm.User, Content: "My name is Ada."}, {Role: lm.Assistant, Content: "What do you like to eat?"}, {Role: lm.User, Content: "Fish."}, {Role: lm.Assistant, Content: "Take fish."}}
	wantIDs, wantMask, err := m.Encode(chat, []int{3})
	if err != nil {
		t.Fatal(err)
	}
	ids, mask, err := text.Encode(chat, []int{3})
	if err != nil || !slices.Equal(ids, wantIDs) || !slices.Equal(mask, wantMask) {
		t.Errorf("Encode: %v %v %v, the model has %v %v", ids, mask, err, wantIDs, wantMask)
	}
	rendered, err := text.Render(chat, false)
	if again, _ := text.Tokens(rendered); err != nil || !slices.Equal(again, wantIDs) {
		t.Errorf("the tokens of %q are %v, %v; want %v", rendered, again, err, wantIDs)
	}
	if text.Decode(ids) != m.Decode(ids) || text.Piece(ids[5]) != m.Piece(ids[5]) || text.Token(ids[0]) != m.Token(ids[0]) || !slices.Equal(text.Ends(), m.Ends()) {
		t.Error("the text side spells tokens otherwise than the model")
	}
	spelling, id := text.EOS()
	if !slices.Contains(text.Ends(), id) || !text.Special(id) || text.Special(ids[5]) {
		t.Errorf("end of sequence %q, %d: special %t; %q: special %t", spelling, id, text.Special(id), text.Piece(ids[5]), text.Special(ids[5]))
	}
	if _, _, err := text.Generated(chat); err != local.ErrNoGeneration {
		t.Errorf("Generated: %v", err)
	}
	if len(text.TokenizerDigest()) != 64 || text.TokenizerDigest() == text.TemplateDigest() {
		t.Errorf("digests %q and %q", text.TokenizerDigest(), text.TemplateDigest())
	}
}

func TestTextOfGGUF(t *testing.T) {
	text, err := local.OpenText("testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	if _, mask, err := text.Encode(lm.Chat{{Role: lm.User, Content: "the"}, {Role: lm.Assistant, Content: "the"}}, []int{1}); err != nil || !slices.Contains(mask, true) {
		t.Errorf("mask %v, %v", mask, err)
	}
	if _, err := local.OpenText(t.TempDir()); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("an empty directory: %v", err)
	}
}
