package runner

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"stargate"
	"stargate/lm/remote"
	"stargate/nano"
)

// Player says who plays a role. Without a model it is the base model of the run.
type Player struct {
	Name        string   `yaml:"name" json:"name,omitempty"`               // shown in reports
	Local       string   `yaml:"local" json:"local,omitempty"`             // model directory or .gguf file
	Rule        *Rule    `yaml:"rule" json:"rule,omitempty"`               // no model: answers by rule, in a world whose truth is known
	Temperature *float64 `yaml:"temperature" json:"temperature,omitempty"` // else the role's of the algorithm
	TopP        *float64 `yaml:"top_p" json:"top_p,omitempty"`

	remote.Role `yaml:",inline"` // a model server, with url
}

// Rule is how good a user the rule plays; the zero value knows and tells everything.
type Rule struct {
	Silent float64 `yaml:"silent" json:"silent,omitempty"` // share of questions it has no answer to
	Wrong  float64 `yaml:"wrong" json:"wrong,omitempty"`   // share of questions it answers with another value
}

// identity is what can change what the player says: neither where its server is, nor what it
// costs, nor how hard it may be pressed.
func (p Player) identity() Player {
	r := p.Role
	p.Role = remote.Role{Model: r.Model, API: r.API, Route: r.Route, MaxTokens: r.MaxTokens, Omit: r.Omit, Thinking: r.Thinking, Extra: r.Extra}
	if r.URL != "" || len(r.URLs) > 0 {
		p.URL = "server"
	}
	return p
}

func (p Player) isRemote() bool { return p.URL != "" || len(p.URLs) > 0 }

// Roles say who plays what; every role that is not named is played by the base model.
type Roles struct {
	Questioner *Player  `yaml:"questioner" json:"questioner,omitempty"` // Q_BASE: asks and responds
	Scorer     *Player  `yaml:"scorer" json:"scorer,omitempty"`         // Q_BASE again, where another server scores
	Roleplayer []Player `yaml:"roleplayer" json:"roleplayer,omitempty"` // several: each pair has one of them
	Judge      []Player `yaml:"judge" json:"judge,omitempty"`           // several: a majority decides; none, in a known world: its rubric
	Oracle     *Player  `yaml:"oracle" json:"oracle,omitempty"`         // makes the gold responses that the data lacks; none: they must be there
}

func (r Roles) identity() Roles {
	one := func(p *Player) *Player {
		if p == nil {
			return nil
		}
		q := p.identity()
		return &q
	}
	r.Questioner, r.Scorer, r.Oracle = one(r.Questioner), one(r.Scorer), one(r.Oracle)
	r.Roleplayer, r.Judge = identities(r.Roleplayer), identities(r.Judge)
	return r
}

func identities(players []Player) []Player {
	var out []Player
	for _, p := range players {
		out = append(out, p.identity())
	}
	return out
}

// seat opens a player.
func (c *cast) seat(ctx context.Context, s *session, role string, p Player) (seat, error) {
	given := 0
	for _, is := range []bool{p.Rule != nil, p.Local != "", p.isRemote()} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return seat{}, fmt.Errorf("%s: give one of local (a model directory), url (a model server) and rule", role)
	case p.isRemote():
		_, account, within := strings.Cut(role, ": ")
		if !within {
			account = role
		}
		client, err := remote.Open(ctx, p.Role, remote.Options{Name: account, Account: s.budget.Account(account, p.Price), Log: slog.Default()})
		if err != nil {
			return seat{}, placed(role, account, err)
		}
		s.models.servers = append(s.models.servers, client)
		s.watchServers(account, client)
		return seat{player: p, model: client, digest: client.Digest()}, nil
	case p.Rule != nil && s.data.world == nil:
		return seat{}, fmt.Errorf("%s: a rule can play only in a world whose truth is known; give a model (local: DIR)", role)
	case p.Rule != nil:
		r := nano.RuleRoleplayer{World: s.data.world.world, Silent: p.Rule.Silent, Wrong: p.Rule.Wrong}
		if err := r.Validate(); err != nil {
			return seat{}, fmt.Errorf("%s: rule: %w", role, err)
		}
		d, err := digest([]any{"rule", 1, string(r.World.Source()), p.Rule})
		return seat{player: p, model: r, digest: d}, err
	case p.Local != "":
		m, err := openBase(p.Local, s.models.engine)
		if err != nil {
			return seat{}, fmt.Errorf("%s: %w", role, err)
		}
		s.models.open = append(s.models.open, m)
		return seat{player: p, model: m, digest: m.Digest()}, nil
	}
	p.Role = c.questioner.player.Role // whose server is paid
	return seat{player: p, model: c.questioner.model, digest: c.questioner.digest}, nil
}

// placed says which role of the experiment an error is about. A fleet's errors begin with the
// name that it was given, which is the end of role.
func placed(role, name string, err error) error {
	if strings.HasPrefix(err.Error(), name+": ") {
		return fmt.Errorf("%s%w", strings.TrimSuffix(role, name), err)
	}
	return fmt.Errorf("%s: %w", role, err)
}

// seats opens the players of a role; none means the base model. where is the part of the
// experiment file that names them, inManifest the role's name there: players that this process
// does not reach are known by the digests of the manifest.
func (c *cast) seats(ctx context.Context, s *session, where, role, inManifest string, players []Player) ([]seat, error) {
	if len(players) == 0 {
		at, err := c.seat(ctx, s, where+role, Player{})
		at.role = role
		return []seat{at}, err
	}
	digests, left := s.reach.leaves(inManifest, len(players))
	var out []seat
	for i, p := range players {
		at := seat{player: p, model: unreached{inManifest}}
		if left {
			at.digest = digests[i]
		} else {
			var err error
			if at, err = c.seat(ctx, s, fmt.Sprintf("%s%s %d", where, role, i+1), p); err != nil {
				return nil, err
			}
		}
		if at.role = role; len(players) > 1 {
			at.role = fmt.Sprintf("%s (%s)", role, at.name(i))
		}
		out = append(out, at)
	}
	return out, nil
}

// play makes the Roleplayer of some seats.
func (s *session) play(seats []seat) (stargate.Roleplayer, error) {
	var all []stargate.Roleplayer
	for _, at := range seats {
		cfg := s.config
		if t := at.player.Temperature; t != nil {
			cfg.Roleplayer.Temperature = *t
		}
		if p := at.player.TopP; p != nil {
			cfg.Roleplayer.TopP = *p
		}
		if err := cfg.Roleplayer.Validate("roles: " + at.role); err != nil {
			return stargate.Roleplayer{}, err
		}
		all = append(all, stargate.NewRoleplayer(s.ledger.Generator(s.role(at.role), at.digest, at.model), s.prompts, cfg))
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
