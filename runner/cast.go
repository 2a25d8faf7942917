package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
)

// cast is who plays what in a run, opened.
type cast struct {
	questioner  seat         // Q_BASE as a policy
	scorer      scorerSeat   // Q_BASE as a scorer
	weights     *local.Model // Q_BASE's own weights here; nil when it is on a server
	roleplayers []seat
	evaluators  []seat // Roleplayers of the evaluation
	judges      []seat
	oracle      seat   // who makes the golds that are missing
	contestants []seat // of an evaluation of any models
}

// seat is a player that is open.
type seat struct {
	player Player
	model  lm.Generator
	digest string // of everything that determines what it says
	role   string // in the ledger and the report: "judge", or "judge (gpt)" where there are several
}

type scorerSeat struct {
	model  lm.Scorer
	digest string
}

// fill opens every role.
func (c *cast) fill(ctx context.Context, s *session, modelDir string) (err error) {
	roles := s.experiment.Roles
	if err := c.base(ctx, s, modelDir); err != nil {
		return err
	}
	if err := c.scores(ctx, s); err != nil {
		return err
	}
	if c.roleplayers, err = c.seats(ctx, s, "roles: ", "roleplayer", roleplayerRole, roles.Roleplayer); err != nil {
		return err
	}
	c.evaluators = c.roleplayers
	if others := s.experiment.Evaluation.Roleplayer; len(others) > 0 {
		if c.evaluators, err = c.seats(ctx, s, "evaluation: ", "roleplayer", evaluatorRole, others); err != nil {
			return err
		}
	}
	for i, p := range roles.Judge {
		if p.Rule != nil {
			return fmt.Errorf("roles: judge %d: a rule compares no responses; give local or url, or leave judge out where the truth is known: its rubric then judges", i+1)
		}
	}
	if c.judges, err = c.seats(ctx, s, "roles: ", "judge", judgeRole, roles.Judge); err != nil {
		return err
	}
	if roles.Oracle == nil || len(s.data.WithoutGold()) == 0 {
		return nil
	}
	if roles.Oracle.Rule != nil {
		return errors.New("roles: oracle: a rule writes no gold responses; give url or local")
	}
	if digests, left := s.reach.leaves(oracleRole, 1); left {
		c.oracle = seat{player: *roles.Oracle, model: unreached{oracleRole}, digest: digests[0]}
	} else if c.oracle, err = c.seat(ctx, s, "roles: oracle", *roles.Oracle); err != nil {
		return err
	}
	c.oracle.role = oracleRole
	return nil
}

// base opens Q_BASE: a server's model, a directory, or the built-in model.
func (c *cast) base(ctx context.Context, s *session, modelDir string) error {
	p := s.experiment.Roles.Questioner
	switch {
	case s.scripted != nil:
		c.questioner = seat{model: s.scripted.Model, digest: s.scripted.Digest}
		return nil
	case p != nil && p.Rule != nil:
		return errors.New("roles: questioner: a rule cannot be trained; give local (a model directory) or url (a model server)")
	case p != nil && p.isRemote():
		at, err := c.seat(ctx, s, "roles: questioner", *p)
		c.questioner = at
		return err
	case p != nil && p.Local != "":
		modelDir = p.Local
	}
	m, err := openBase(modelDir, s.models.engine)
	if err != nil && p != nil {
		err = fmt.Errorf("roles: questioner: %w", err)
	}
	if err != nil {
		return err
	}
	s.models.open = append(s.models.open, m)
	c.weights, c.questioner = m, seat{player: Player{Local: modelDir}, model: m, digest: m.Digest()}
	return nil
}

// scores says who scores: the same model, perhaps on another server. A server's scores are
// audited before the first of them counts.
func (c *cast) scores(ctx context.Context, s *session) error {
	p, at := s.experiment.Roles.Scorer, c.questioner
	if p != nil {
		if digests, left := s.reach.leaves(scorerRole, 1); left {
			c.scorer = scorerSeat{unreached{scorerRole}, digests[0]}
			return nil
		}
		if p.Rule != nil {
			return errors.New("roles: scorer: a rule has no probabilities; give local or url, with the same model as the questioner")
		}
		var err error
		if at, err = c.seat(ctx, s, "roles: scorer", *p); err != nil {
			return err
		}
	}
	scorer, ok := at.model.(lm.Scorer)
	if !ok {
		return fmt.Errorf("roles: scorer: %w", lm.ErrCannotScore)
	}
	if client, ok := at.model.(*remote.Client); ok {
		if err := client.CanScore(); err != nil {
			return fmt.Errorf("roles: scorer: %w", err)
		}
		s.observe("audit of the scorer", 0, 1)
		if _, err := client.Audit(ctx, remote.AuditOptions{}); err != nil {
			return fmt.Errorf("roles: scorer: %w", err)
		}
		s.observe("audit of the scorer", 1, 1)
	}
	c.scorer = scorerSeat{scorer, at.digest}
	return nil
}

// payees are the players that servers play, by role.
func (c *cast) payees(e Experiment) map[string]Player {
	out := map[string]Player{"rater": c.judges[0].player}
	for _, at := range slices.Concat(c.roleplayers, c.evaluators, c.judges, c.contestants) {
		out[at.role] = at.player
	}
	for _, at := range c.oracles() {
		out[at.role] = at.player
	}
	if q := e.Roles.Questioner; q != nil {
		out["questioner"], out["scorer"] = *q, *q
	}
	if p := e.Roles.Scorer; p != nil {
		out["scorer"] = *p
	}
	maps.DeleteFunc(out, func(_ string, p Player) bool { return !p.isRemote() })
	return out
}

// digests are those of the roles that the base model does not play, by role: a part of the
// run's identity.
func (c *cast) digests(e Experiment) map[string][]string {
	out := map[string][]string{}
	note := func(role string, players []Player, seats []seat) {
		if len(players) > 0 {
			for _, s := range seats {
				out[role] = append(out[role], s.digest)
			}
		}
	}
	note(roleplayerRole, e.Roles.Roleplayer, c.roleplayers)
	note(evaluatorRole, e.Evaluation.Roleplayer, c.evaluators)
	note(judgeRole, e.Roles.Judge, c.judges)
	note(oracleRole, make([]Player, len(c.oracles())), c.oracles())
	if e.Roles.Scorer != nil {
		out[scorerRole] = []string{c.scorer.digest}
	}
	return out
}

// name is a player's name in reports: its own, its model's, or its number.
func (at seat) name(i int) string {
	switch p := at.player; {
	case p.Name != "":
		return p.Name
	case p.Model != "":
		return p.Model
	case p.Local != "":
		return filepath.Base(p.Local)
	}
	return fmt.Sprintf("no. %d", i+1)
}
