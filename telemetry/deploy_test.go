package telemetry

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

var metricName = regexp.MustCompile(`\bstargate_[a-z_]+`)

// exported are the names of the metrics of runs and of stargate serve.
func exported(t *testing.T) (ours, serves map[string]bool) {
	t.Helper()
	tel := open(t, Options{})
	everything(tel)
	ours, serves = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(scrape(t, tel)) {
		if name := metricName.FindString(line); strings.HasPrefix(line, "stargate_") {
			ours[base(name)] = true
		}
	}
	source, err := os.ReadFile("../serve/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"(stargate_[a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		serves[m[1]] = true
	}
	return ours, serves
}

// base is a histogram's name.
func base(name string) string {
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		name = strings.TrimSuffix(name, part)
	}
	return name
}

// What the dashboard and the alerts ask for exists, and every metric of runs is on the dashboard.
func TestDeployedQueries(t *testing.T) {
	ours, serves := exported(t)
	if len(ours) < 25 || len(serves) < 15 {
		t.Fatalf("%d and %d metrics", len(ours), len(serves))
	}
	data, err := os.ReadFile("../deploy/grafana/stargate.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	shown, ids := map[string]bool{}, map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the number %d", p.ID)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			names := metricName.FindAllString(q.Expr, -1)
			if len(names) == 0 {
				t.Errorf("panel %q asks for nothing: %s", p.Title, q.Expr)
			}
			for _, n := range names {
				if shown[base(n)] = true; !ours[base(n)] && !serves[base(n)] {
					t.Errorf("panel %q asks for %s, which nothing exports", p.Title, n)
				}
			}
		}
	}
	for n := range ours {
		if !shown[n] {
			t.Errorf("%s is not on the dashboard", n)
		}
	}
	alerts, err := os.ReadFile("../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range metricName.FindAllString(string(alerts), -1) {
		if !ours[base(n)] && !serves[base(n)] {
			t.Errorf("an alert asks for %s, which nothing exports", n)
		}
	}
}
