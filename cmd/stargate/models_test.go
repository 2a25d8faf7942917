package main

import (
	"io/fs"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stargate/hub"
	"stargate/hub/hubtest"
	"stargate/nano"
)

// The model commands against a Hub on this machine that has the built-in model.
func TestModelScripts(t *testing.T) {
	files := builtin(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/models",
		Setup: func(e *testscript.Env) error {
			s := hubtest.New()
			e.Defer(s.Close)
			s.Token = "hf_right"
			commit := s.Add("acme/nano", "main", files)
			s.Add("acme/pickled", "main", map[string][]byte{"config.json": []byte("{}"), "pytorch_model.bin": {1}})
			gated := hubtest.New()
			e.Defer(gated.Close)
			gated.Token, gated.Gated = "hf_right", true
			gated.Add("acme/gated", "main", files)
			e.Setenv("HF_ENDPOINT", s.URL)
			e.Setenv("GATED", gated.URL)
			e.Setenv("COMMIT", commit)
			e.Setenv("HF_HOME", e.WorkDir+"/hf")
			for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
				e.Setenv(name, "")
			}
			return nil
		},
	})
}

// builtin are the files of the built-in model.
func builtin(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if out[e.Name()], err = fs.ReadFile(files, e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestRemaining(t *testing.T) {
	for _, c := range []struct {
		event hub.Event
		took  time.Duration
		want  string
	}{
		{hub.Event{Done: 0, Total: 5e9}, time.Minute, "0 B of 5.0 GB"},
		{hub.Event{Done: 1e9, Total: 5e9}, 10 * time.Second, "1.0 GB of 5.0 GB, 100 MB/s, 40s left"},
		{hub.Event{Done: 4e9, Total: 5e9, Kept: 3e9}, 10 * time.Second, "4.0 GB of 5.0 GB, 100 MB/s, 10s left"},
		{hub.Event{Done: 4e9, Total: 5e9, Kept: 4e9}, 10 * time.Second, "4.0 GB of 5.0 GB"},
		{hub.Event{Done: 5e9, Total: 5e9, Kept: 3e9}, 10 * time.Second, "5.0 GB of 5.0 GB, 200 MB/s"},
	} {
		if got := remaining(c.event, c.took); got != c.want {
			t.Errorf("%+v: %q, want %q", c.event, got, c.want)
		}
	}
}
