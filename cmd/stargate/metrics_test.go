package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"stargate/runner"
)

func TestWatch(t *testing.T) {
	var said bytes.Buffer
	c := &cobra.Command{Use: "run"}
	c.SetContext(t.Context())
	c.SetErr(&said)

	var none runner.Options
	stop, err := watch(c, "", &none)
	if err != nil || none.Telemetry != nil || stop() != nil {
		t.Errorf("without a flag: %v, %v", err, none.Telemetry)
	}
	if _, err := watch(c, "nowhere", &none); !errors.Is(err, errUsage) {
		t.Errorf("a bad address: %v", err)
	}

	var o runner.Options
	if stop, err = watch(c, ":0", &o); err != nil {
		t.Fatal(err)
	}
	o.Telemetry.Progress("evaluation: win rate", 1, 3)
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+/metrics`).FindString(said.String())
	r, err := http.Get(address)
	if err != nil {
		t.Fatalf("%q: %v", said.String(), err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || !strings.Contains(string(text), `stargate_stage_done{stage="evaluation: win rate"} 1`) {
		t.Errorf("%v: %s", err, text)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(address); err == nil {
		t.Error("it is served after the end")
	}
}
