package gate

import (
	"math"
	"strings"

	"stargate/eval"
)

// Last is another name for the last model of a run.
const Last = "last"

// Of puts a result under names. What the run did not measure has no name.
//
//	winrate.m2.{rate,lower,upper,n,wins,ties,losses,invalid,wilson_lower,wilson_upper,p,tells,detects,asks}
//	facts.m2.{told,invented,lower,upper,n}
//	gold.{neg,pos,qa,qa_top1,rand,rand_top1,pos_qa,pos_qa_top1}.m2.{mean,sem,per_token,n,delta,delta_lower,delta_upper}
//	paired.{qa,qa_top1,rand,gap,pos_qa,win}.m0.m2.{diff,lower,upper,p,n}
//	questions.m2.{wellformed,relevant,redundant,distinct,words,n}
//	optimum.{gold,relevant,chance}, optimum.gap.m2.{mean,lower,upper}
//	shape.{a,b,c,d,e,f}: true or false
//	judge.judge.{n,invalid,refused,unparsable,flips,position,longer}, agreement.{alpha,ordinal}
//	training.m2.{examples,eval_loss_before,eval_loss,margin,relevant,relevant_selected}
//	reliability.test.m2.{margin,second,close,stable,by_chance,length_rank,sum_mean,sum_delta}, leak.test.m2["gold in an answer"].{all,selected}
//	diversity.m2.{distinct1,distinct2,distinct3,self_bleu,effective,top_share,per_pair,attributes,malformed,alarms}
//	credit.m2.{turn,kind}["1"].{gain,lower,upper,n}, general.m2.qa.{mean,lower,upper,n}, specific.…
//	asking.{open,told}.m2.{first,questions,stopped,over_ask,under_ask}
//	dropped["no-question"], redrawn["no-question"], calls.scorer.{made,tokens_in,tokens_out,cost}
//
// "last" stands for the last model everywhere.
func Of(r *eval.Result) Values {
	v := Values{}
	last := ""
	if n := len(r.Models); n > 0 {
		last = r.Models[n-1]
	}
	// put sets a value under a model's name, and under "last" if it is the last.
	put := func(x float64, model string, before []string, field string) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return
		}
		v.set(x, append(append([]string{}, before...), model, field)...)
		if model == last {
			v.set(x, append(append([]string{}, before...), Last, field)...)
		}
	}
	for _, w := range r.WinRate {
		if w.N == 0 {
			continue
		}
		for field, x := range map[string]float64{"rate": w.Rate, "lower": w.Low, "upper": w.High, "n": float64(w.N), "wins": float64(w.Wins), "ties": float64(w.Ties), "losses": float64(w.Losses), "invalid": float64(w.Invalid)} {
			put(x, w.Model, []string{"winrate"}, field)
		}
	}
	for _, w := range r.WinChecks {
		for field, x := range map[string]float64{"wilson_lower": w.WilsonLow, "wilson_upper": w.WilsonHigh, "p": w.P, "tells": w.Tells, "detects": w.Detects, "asks": w.Asks} {
			put(x, w.Model, []string{"winrate"}, field)
		}
	}
	for _, g := range r.Grounding {
		for field, x := range map[string]float64{"told": g.Told, "invented": g.Invented, "lower": g.Low, "upper": g.High, "n": float64(g.N)} {
			put(x, g.Model, []string{"facts"}, field)
		}
	}
	for _, g := range r.GoldLogProb {
		condition := name(g.Condition)
		if g.Subset != eval.All {
			condition += "_" + g.Subset
		}
		for field, x := range map[string]float64{"mean": g.Mean, "sem": g.SEM, "per_token": g.PerToken, "n": float64(g.N), "delta": g.Delta, "delta_lower": g.DeltaLow, "delta_upper": g.DeltaHigh} {
			put(x, g.Model, []string{"gold", condition}, field)
		}
	}
	for _, p := range r.Paired {
		for field, x := range map[string]float64{"diff": p.Diff, "lower": p.Low, "upper": p.High, "p": p.P, "n": float64(p.N)} {
			put(x, p.B, []string{"paired", name(p.What), p.A}, field)
		}
	}
	for _, q := range r.Questions {
		for field, x := range map[string]float64{"wellformed": q.Wellformed, "relevant": q.Relevant, "redundant": q.Redundant, "distinct": q.Distinct, "words": q.Words, "n": float64(q.N)} {
			if x >= 0 { // -1 is not known
				put(x, q.Model, []string{"questions"}, field)
			}
		}
	}
	if o := r.Optimum; o != nil {
		v.set(o.GoldLogProb, "optimum", "gold")
		v.set(o.Relevant, "optimum", "relevant")
		v.set(o.ChanceRelevant, "optimum", "chance")
		for _, g := range o.Gaps {
			for field, x := range map[string]float64{"mean": g.Mean, "lower": g.Low, "upper": g.High} {
				put(x, g.Model, []string{"optimum", "gap"}, field)
			}
		}
	}
	for _, s := range r.Shapes {
		if s.Seen != nil {
			v.set(*s.Seen, "shape", s.ID)
		}
	}
	for _, t := range r.Training {
		for field, x := range map[string]float64{"examples": float64(t.Examples), "eval_loss_before": t.EvalLoss[0], "eval_loss": t.EvalLoss[1], "margin": t.Margin} {
			put(x, t.Model, []string{"training"}, field)
		}
		if t.Relevant[0] >= 0 {
			put(t.Relevant[0], t.Model, []string{"training"}, "relevant")
			put(t.Relevant[1], t.Model, []string{"training"}, "relevant_selected")
		}
	}
	v.judges(r)
	for _, x := range r.Reliability {
		for field, value := range map[string]float64{"margin": x.Margin, "second": x.Second, "close": x.Close, "stable": x.Stable, "by_chance": x.ByChance, "length_rank": x.LengthRank} {
			put(value, x.Model, []string{"reliability", x.Split}, field)
		}
		for field, value := range map[string]*float64{"sum_mean": x.SumMean, "sum_delta": x.SumDelta} {
			if value != nil {
				put(*value, x.Model, []string{"reliability", x.Split}, field)
			}
		}
		for _, l := range x.Leaks {
			v.set(l.All, "leak", x.Split, x.Model, l.Kind, "all")
			v.set(l.Selected, "leak", x.Split, x.Model, l.Kind, "selected")
		}
	}
	for _, d := range r.Diversity {
		bad := 0.0
		for _, share := range d.Malformed {
			bad += share
		}
		for field, value := range map[string]float64{"distinct1": d.Distinct1, "distinct2": d.Distinct2, "distinct3": d.Distinct3, "self_bleu": d.SelfBLEU, "effective": d.Effective, "top_share": d.TopShare, "per_pair": d.PerPair, "malformed": bad, "alarms": float64(len(d.Alarms))} {
			put(value, d.Model, []string{"diversity"}, field)
		}
		if d.Attributes != nil {
			put(*d.Attributes, d.Model, []string{"diversity"}, "attributes")
		}
	}
	for _, c := range r.Credit {
		for field, value := range map[string]float64{"gain": c.Gain, "lower": c.Low, "upper": c.High, "n": float64(c.N)} {
			v.set(value, "credit", c.Model, c.By, c.Key, field)
			if c.Model == last {
				v.set(value, "credit", Last, c.By, c.Key, field)
			}
		}
	}
	if r.WhenToAsk != nil {
		for _, a := range r.WhenToAsk.Rows {
			put(a.First.Rate, a.Model, []string{"asking", a.Tasks}, "first")
			put(a.Questions, a.Model, []string{"asking", a.Tasks}, "questions")
			put(a.Stopped.Rate, a.Model, []string{"asking", a.Tasks}, "stopped")
			if a.OverAsk != nil {
				put(a.OverAsk.Rate, a.Model, []string{"asking", a.Tasks}, "over_ask")
			}
			if a.UnderAsk != nil {
				put(a.UnderAsk.Rate, a.Model, []string{"asking", a.Tasks}, "under_ask")
			}
		}
	}
	if r.TaskKinds != nil {
		for _, row := range r.TaskKinds.Rows {
			for field, value := range map[string]float64{"mean": row.Mean, "lower": row.Low, "upper": row.High, "n": float64(row.N)} {
				v.set(value, row.Kind, row.Model, name(row.What), field)
			}
		}
	}
	for what, counts := range map[string]map[string]int{"dropped": r.Dropped, "redrawn": r.Redrawn} {
		for flaw, n := range counts {
			v.set(float64(n), what, flaw)
		}
	}
	for role, c := range r.Calls {
		for field, x := range map[string]float64{"made": float64(c.Made), "tokens_in": float64(c.TokensIn), "tokens_out": float64(c.TokensOut), "cost": c.Cost} {
			v.set(x, "calls", role, field)
		}
	}
	return v
}

func (v Values) judges(r *eval.Result) {
	for _, j := range r.Judges {
		for field, n := range map[string]int{"n": j.N, "invalid": j.Invalid, "refused": j.Refused, "unparsable": j.Unparsable, "retried": j.Retried} {
			v.set(float64(n), "judge", j.Judge, field)
		}
		if j.Order != nil {
			v.set(j.Order.Flips.Rate, "judge", j.Judge, "flips")
			if j.Order.Position != nil {
				v.set(j.Order.Position.Rate, "judge", j.Judge, "position")
			}
		}
		if j.Longer != nil {
			v.set(j.Longer.Rate, "judge", j.Judge, "longer")
		}
		if j.Self != nil {
			v.set(j.Self.Difference, "judge", j.Judge, "self")
		}
	}
	if a := r.Agreement; a != nil {
		v.set(a.Alpha, "agreement", "alpha")
		v.set(a.Ordinal, "agreement", "ordinal")
	}
}

// Against puts a comparison with an earlier run under the name "against":
//
//	against.{qa,gap,win,…}.m2.{diff,lower,upper,p,holm}
//
// where a difference is this run less the other.
func (v Values) Against(c *eval.Contrast, last string) {
	for _, r := range c.Rows {
		for field, x := range map[string]float64{"diff": r.Test.Diff, "lower": r.Test.Low, "upper": r.Test.High, "p": r.Test.P, "holm": r.Holm} {
			v.set(x, "against", name(r.What), r.ModelB, field)
			if r.ModelB == last {
				v.set(x, "against", name(r.What), Last, field)
			}
		}
	}
}

// name writes a condition so that no quotes are needed.
func name(s string) string { return strings.NewReplacer("+", "_", "/", "_", " ", "_").Replace(s) }
