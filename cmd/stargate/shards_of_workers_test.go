package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"stargate/ledger"
)

// Where shards of work are those of the store, workers publish the conversations and move the
// bodies of calls there, the fine-tune and the report read them, and the report has the bytes of a
// run that does all of it at its end.
func TestShardsOfWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	s := newSite(t, true)
	quiet := s.perform(t, "quiet")
	quiet.await(t, false)
	quiet.end(t)
	text, err := os.ReadFile(s.file)
	must(t, err)
	s.file = filepath.Join(t.TempDir(), "tiny.yaml")
	must(t, os.WriteFile(s.file, append(text, "storage: {bodies_above: 1}\n"...), 0o600))
	s.shard = "100"
	p := s.perform(t, "moved")
	p.await(t, false)
	sameReports(t, quiet.dir, p.dir)
	at, err := ledger.InSchema(s.ledger, "moved")
	must(t, err)
	l, err := ledger.OpenReader(at)
	must(t, err)
	defer l.Close()
	moved, err := l.MovedCalls(t.Context())
	must(t, err)
	documents := 0
	must(t, l.Documents(t.Context(), "published conversations: ", func(string, json.RawMessage) error { documents++; return nil }))
	if moved == 0 || documents != 2 {
		t.Errorf("%d calls have their bodies in shards, and the conversations of %d iterations of 2 were read from them", moved, documents)
	}
	repeatedAsksNobody(t, p)
}
