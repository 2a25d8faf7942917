package eval

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"stargate/eval/judge"
)

const schemaFile = "../docs/report.schema.json"

func reportSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, raw []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// What Run gives keeps the contract of report.json: with and without a known truth, with
// one model, with nobody to take Q-random from, and where every conversation is dropped.
func TestResultKeepsTheSchema(t *testing.T) {
	s := reportSchema(t)
	mute := func(string, int, uint64) string { return "Here is a plan." }
	full := newWorld(t, 6, 3, mixed, clumsy, knowing)
	plain := newWorld(t, 4, 2, mixed, knowing)
	plain.Truth = nil
	alone := newWorld(t, 4, 1, mixed)
	for name, w := range map[string]*world{"full": full, "no truth": plain, "alone": alone, "nothing asked": newWorld(t, 4, 2, mute, mute)} {
		r := w.run(t).Result
		if name == "full" {
			r.Calls["questioner"] = Calls{Made: 3, TokensIn: 20, TokensOut: 10}
			r.Training = append(r.Training, Training{Model: "m1", Split: "A", Examples: 2, Loss: []float64{2, 1}, EvalLoss: [2]float64{2, 1}, Relevant: [2]float64{-1, -1}})
		}
		if err := validate(t, s, encode(t, r)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The schema refuses what is not the contract.
func TestSchemaIsStrict(t *testing.T) {
	s := reportSchema(t)
	raw := encode(t, newWorld(t, 4, 2, mixed, knowing).run(t).Result)
	for what, edit := range map[string][2]string{
		"an unknown field":     {`"experiment"`, `"wall_seconds": 1, "experiment"`},
		"a missing field":      {`"invalid": 0,`, ``},
		"an unknown condition": {`"condition": "rand"`, `"condition": "random"`},
		"a rate above one":     {`"high": 1`, `"high": 1.5`},
		"a shape (g)":          {`"id": "f"`, `"id": "g"`},
		"null for a list":      {`"training": []`, `"training": null`},
	} {
		bad := bytes.Replace(raw, []byte(edit[0]), []byte(edit[1]), 1)
		if bytes.Equal(bad, raw) {
			t.Errorf("%s: the result has no %s", what, edit[0])
		} else if validate(t, s, bad) == nil {
			t.Errorf("the schema takes %s", what)
		}
	}
}

// Every field of the types is in the schema, required unless it is left out when empty, and
// the other way round.
func TestSchemaListsEveryField(t *testing.T) {
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Required   []string                   `json:"required"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"": Result{}, "gold_logprob": GoldLogProb{}, "gold_turns": GoldTurns{}, "win_rate": WinRate{}, "win_turns": Turns{}, "questions": Questions{},
		"optimum": Optimum{}, "gap": Gap{}, "calls": Calls{}, "training": Training{}, "shape": Shape{}, "baseline": Baseline{},
		"paired": Paired{}, "boot": Boot{}, "win_check": WinCheck{}, "judge": judge.Audit{}, "order": judge.Order{}, "self_rate": judge.SelfRate{},
		"audited_rate": judge.AuditedRate{}, "rate": judge.Rate{}, "agreement": judge.Agreement{}, "pair_kappa": judge.PairKappa{},
		"reliability": Reliability{}, "best": Best{}, "leak": Leak{},
		"left_out": LeftOut{}, "left_out_pair": LeftOutPair{}, "left_out_entry": LeftOutEntry{},
		"when_to_ask": WhenToAsk{}, "asking": Asking{}, "diversity": Diversity{}, "credit": Credit{}, "task_kinds": TaskKinds{}, "task_rating": TaskRating{}, "task_kind_row": TaskKindRow{},
	} {
		o := schema.object
		if name != "" {
			o = schema.Defs[name]
		}
		var fields, always, listed []string
		for f := range reflect.TypeOf(v).Fields() {
			field, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			if fields = append(fields, field); option == "" {
				always = append(always, field)
			}
		}
		for p := range o.Properties {
			listed = append(listed, p)
		}
		slices.Sort(fields)
		slices.Sort(always)
		slices.Sort(listed)
		slices.Sort(o.Required)
		if !slices.Equal(fields, listed) || !slices.Equal(always, o.Required) {
			t.Errorf("%T: fields %v\nproperties %v\nrequired %v", v, fields, listed, o.Required)
		}
	}
}

// A result is finite everywhere: JSON has no NaN.
func TestResultIsFinite(t *testing.T) {
	r := newWorld(t, 1, 1, mixed, knowing).run(t).Result
	for _, g := range r.GoldLogProb {
		for _, v := range []float64{g.Mean, g.SEM, g.PairsSEM, g.PerToken, g.Delta, g.DeltaSEM, g.DeltaLow, g.DeltaHigh} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%+v", g)
			}
		}
	}
}
