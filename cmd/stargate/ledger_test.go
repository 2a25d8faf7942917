package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/lm"
)

type talker struct{}

func (talker) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	return lm.Completion{Text: "What do you like?", Usage: lm.Usage{PromptTokens: 10, CompletionTokens: 3}}, nil
}

// fillLedger makes the ledger of a run with some calls.
func fillLedger(dir string, id ledger.Identity) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	l, err := ledger.Open(filepath.Join(dir, "ledger.db"), id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	l.Watch(func(ctx context.Context, _ ledger.Asked) (context.Context, func(ledger.Ended)) {
		return ledger.InSpan(ctx, ledger.Span{Trace: [16]byte{1}, ID: [8]byte{2}}), func(ledger.Ended) {}
	})
	for seed := range uint64(25) {
		if _, err := l.Generator("questioner", "w0", talker{}).Generate(context.Background(), nil, lm.Sampling{Seed: seed}); err != nil {
			return err
		}
	}
	return nil
}

func TestLedgerScripts(t *testing.T) {
	server := pgtest.Start(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/ledger",
		Setup: func(e *testscript.Env) error {
			e.Setenv("POSTGRES", server.Fresh())
			e.Setenv("KEY", ledger.GenerateKey("w0", nil, lm.Sampling{Seed: 3}).String())
			return errors.Join(
				fillLedger(filepath.Join(e.WorkDir, "run"), ledger.Identity{Name: "nano", Digest: "9f86d081884c"}),
				fillLedger(filepath.Join(e.WorkDir, "other"), ledger.Identity{Name: "other", Digest: "2c26b46b68ff"}))
		},
	})
}
