package runner

import (
	"stargate/lm/remote"
	"stargate/plan"
)

// terms are what those who play a role cost, on average: each plays about as many calls.
type terms struct {
	price remote.Price
	rate  remote.Rate // of the first server
	share float64     // of calls that servers answer
}

// terms are those of a role of a forecast; ok is false where no server plays it.
func (e Experiment) terms(role string) (t terms, ok bool) {
	players := e.playing(role)
	n := float64(len(players))
	for _, p := range players {
		if !p.isRemote() {
			continue
		}
		if !ok {
			t.rate, ok = p.Rate, true
		}
		t.share += 1 / n
		t.price.Input += p.Price.Input / n
		t.price.Output += p.Price.Output / n
	}
	return t, ok
}

// playing are the players of a role, with the questioner for those that nobody is named for.
func (e Experiment) playing(role string) []Player {
	var questioner Player
	if q := e.Roles.Questioner; q != nil {
		questioner = *q
	}
	one := func(p *Player) []Player {
		if p == nil {
			return []Player{questioner}
		}
		return []Player{*p}
	}
	all := func(players []Player) (out []Player) {
		for _, p := range players {
			if p.Rule == nil && p.Local == "" && !p.isRemote() {
				p = questioner
			}
			out = append(out, p)
		}
		if len(out) == 0 {
			return []Player{questioner}
		}
		return out
	}
	switch role {
	case plan.Questioner:
		return []Player{questioner}
	case plan.Scorer:
		return one(e.Roles.Scorer)
	case plan.Roleplayer:
		return all(e.Roles.Roleplayer)
	case plan.Evaluator:
		if len(e.Evaluation.Roleplayer) == 0 {
			return nil
		}
		return all(e.Evaluation.Roleplayer)
	case plan.Judge:
		return all(e.Roles.Judge)
	case plan.Rater:
		return all(e.Roles.Judge)[:1]
	case plan.Oracle:
		if e.Roles.Oracle == nil {
			return nil
		}
		return all([]Player{*e.Roles.Oracle})
	}
	return nil
}
