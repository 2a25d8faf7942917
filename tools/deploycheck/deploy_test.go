package deploycheck

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const deploy = "../../deploy"

// The manifests have no field that their kinds do not have, and what pods need to be scheduled.
func TestKubernetes(t *testing.T) {
	files, err := filepath.Glob(deploy + "/kubernetes/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	pods := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var kind struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal(document, &kind); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			into := map[string]any{
				"apps/v1 Deployment": new(apps.Deployment), "batch/v1 Job": new(batch.Job), "v1 ConfigMap": new(core.ConfigMap), "v1 Secret": new(core.Secret), "v1 Service": new(core.Service),
				"monitoring.coreos.com/v1 ServiceMonitor": new(monitoring.ServiceMonitor),
			}[kind.APIVersion+" "+kind.Kind]
			if into == nil {
				if kind.Kind != "Kustomization" { // kubectl kustomize reads it
					t.Errorf("%s: %s %s is not known", f, kind.APIVersion, kind.Kind)
				}
				continue
			}
			if err := yaml.UnmarshalStrict(document, into); err != nil {
				t.Errorf("%s: %s: %v", f, kind.Kind, err)
			}
			switch v := into.(type) {
			case *apps.Deployment:
				pods++
				checkPod(t, f, v.Spec.Template.Spec)
				for name, value := range v.Spec.Selector.MatchLabels {
					if v.Spec.Template.Labels[name] != value {
						t.Errorf("%s: %s: its selector does not choose its pods", f, v.Name)
					}
				}
			case *batch.Job:
				pods++
				checkPod(t, f, v.Spec.Template.Spec)
			}
		}
	}
	if pods != 4 {
		t.Errorf("%d kinds of pods, want 4", pods)
	}
}

func checkPod(t *testing.T, file string, s core.PodSpec) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range s.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range s.Containers {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: container %s mounts %s, which is no volume", file, c.Name, m.Name)
			}
		}
		for _, of := range []core.ResourceList{c.Resources.Requests, c.Resources.Limits} {
			for name, q := range of {
				if q.IsZero() {
					t.Errorf("%s: container %s asks for no %s", file, c.Name, name)
				}
			}
		}
		if c.SecurityContext == nil || c.SecurityContext.AllowPrivilegeEscalation == nil || *c.SecurityContext.AllowPrivilegeEscalation {
			t.Errorf("%s: container %s may get more rights", file, c.Name)
		}
	}
}

// Prometheus reads the alerts, and every query of the dashboard.
func TestPrometheus(t *testing.T) {
	text, err := os.ReadFile(deploy + "/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil || len(groups.Groups) == 0 {
		t.Error("there are no alerts")
	}
	if text, err = os.ReadFile(deploy + "/grafana/stargate.json"); err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, q := range panel.Targets {
			if _, err := p.ParseExpr(strings.ReplaceAll(q.Expr, "$__rate_interval", "1m")); err != nil {
				t.Errorf("panel %q: %v", panel.Title, err)
			}
		}
	}
}

// Compose reads its file, and everything that it mounts or builds from is there.
func TestCompose(t *testing.T) {
	o, err := cli.NewProjectOptions([]string{deploy + "/compose.yaml"}, cli.WithEnv([]string{"POSTGRES_PASSWORD=x"}), cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := o.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(project.Services) != 7 {
		t.Errorf("%d services, want 7", len(project.Services))
	}
	for name, s := range project.Services {
		for _, v := range s.Volumes {
			if v.Type != "bind" {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
