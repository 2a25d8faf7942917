package runner

import (
	"fmt"
	"strings"

	"stargate"
	"stargate/lm"
	"stargate/nano"
)

// Player says who plays a role. Without a model it is the base model of the run.
type Player struct {
	Name        string   `yaml:"name" json:"name,omitempty"`               // shown in reports
	Local       string   `yaml:"local" json:"local,omitempty"`             // model directory or .gguf file
	Rule        *Rule    `yaml:"rule" json:"rule,omitempty"`               // no model: answers by rule, in a world whose truth is known
	Temperature *float64 `yaml:"temperature" json:"temperature,omitempty"` // else the role's of the algorithm
	TopP        *float64 `yaml:"top_p" json:"top_p,omitempty"`
}

// Rule is how good a user the rule plays; the zero value knows and tells everything.
type Rule struct {
	Silent float64 `yaml:"silent" json:"silent,omitempty"` // share of questions it has no answer to
	Wrong  float64 `yaml:"wrong" json:"wrong,omitempty"`   // share of questions it answers with another value
}

// Roles say who plays what; every role that is not named is played by the base model.
type Roles struct {
	Roleplayer []Player `yaml:"roleplayer" json:"roleplayer,omitempty"` // several: each pair has one of them
}

// seat is a player that is open.
type seat struct {
	player Player
	model  lm.Generator
	digest string // of everything that determines what it says
}

// seat opens a player.
func (s *session) seat(role string, p Player) (seat, error) {
	switch {
	case p.Rule != nil && p.Local != "":
		return seat{}, fmt.Errorf("%s: give either a model (local) or a rule", role)
	case p.Rule != nil && s.data.world == nil:
		return seat{}, fmt.Errorf("%s: a rule can play only in a world whose truth is known; give a model (local: DIR)", role)
	case p.Rule != nil:
		r := nano.RuleRoleplayer{World: s.data.world.world, Silent: p.Rule.Silent, Wrong: p.Rule.Wrong}
		if err := r.Validate(); err != nil {
			return seat{}, fmt.Errorf("%s: rule: %w", role, err)
		}
		d, err := digest([]any{"rule", 1, string(r.World.Source()), p.Rule})
		return seat{p, r, d}, err
	case p.Local != "":
		m, err := openBase(p.Local, s.models.engine)
		if err != nil {
			return seat{}, fmt.Errorf("%s: %w", role, err)
		}
		s.models.open = append(s.models.open, m)
		return seat{p, m, m.Digest()}, nil
	}
	base := s.models.open[0]
	return seat{p, base, base.Digest()}, nil
}

// seats opens the players of a role; none means the base model.
func (s *session) seats(role string, players []Player) ([]seat, error) {
	if len(players) == 0 {
		players = []Player{{}}
	}
	var out []seat
	for i, p := range players {
		where := role
		if len(players) > 1 {
			where = fmt.Sprintf("%s %d", role, i+1)
		}
		at, err := s.seat(where, p)
		if err != nil {
			return nil, err
		}
		out = append(out, at)
	}
	return out, nil
}

// digests of the seats of a role, where they are not just the base model.
func digestsOf(players []Player, seats []seat) []string {
	if len(players) == 0 {
		return nil
	}
	var out []string
	for _, s := range seats {
		out = append(out, s.digest)
	}
	return out
}

// play makes the Roleplayer of some seats.
func (s *session) play(role string, seats []seat) (stargate.Roleplayer, error) {
	var all []stargate.Roleplayer
	for _, at := range seats {
		cfg := s.config
		if t := at.player.Temperature; t != nil {
			cfg.Roleplayer.Temperature = *t
		}
		if p := at.player.TopP; p != nil {
			cfg.Roleplayer.TopP = *p
		}
		if err := cfg.Validate(); err != nil {
			return stargate.Roleplayer{}, fmt.Errorf("%s: %w", role, err)
		}
		all = append(all, stargate.NewRoleplayer(s.ledger.Generator(s.role(role), at.digest, at.model), s.prompts, cfg))
	}
	return stargate.OneOf(s.config.Seed, all...), nil
}

// role is a role's name in the ledger: that of this run alone where several share a ledger.
func (s *session) role(name string) string {
	if s.shared {
		return s.experiment.Name + roleSeparator + name
	}
	return name
}

// ownRole is the inverse of role; ok is false for what another run asked.
func (s *session) ownRole(name string) (string, bool) {
	if s.shared {
		return strings.CutPrefix(name, s.experiment.Name+roleSeparator)
	}
	return name, true
}

const roleSeparator = ": "
