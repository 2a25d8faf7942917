package trainlog

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"stargate/lm"
)

// Event is what one line says.
type Event struct {
	Step     int          // optimiser steps done so far
	Steps    int          // in all; 0 while not known
	Train    *lm.TuneStep // a step's loss, if the line tells one
	EvalLoss *float64     // a held-out loss, if the line tells one
}

// Parser collects a training log from the lines of a program. The zero value reads the formats
// above. A Parser is not for concurrent use.
type Parser struct {
	// Every is how many steps pass between two lines that do not say their step (transformers'
	// logging_steps); 0 means 1.
	Every int
	// Patterns are tried before the formats above. Each has the named group loss or eval_loss,
	// and may have step, total, lr and grad_norm.
	Patterns []*regexp.Regexp

	log   lm.TuneLog
	last  int // step of the last line that told a loss
	total int
	base  *float64 // the first held-out loss, if it came before any step
	eval  *float64 // the last held-out loss
}

// groups are the names a pattern may use.
var groups = []string{"step", "total", "loss", "lr", "grad_norm", "eval_loss"}

// CompilePatterns compiles a user's regular expressions and checks their groups.
func CompilePatterns(patterns []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("log pattern %q: %w", p, err)
		}
		for _, name := range re.SubexpNames()[1:] {
			if name != "" && !slices.Contains(groups, name) {
				return nil, fmt.Errorf("log pattern %q: unknown group %q; there are %s", p, name, strings.Join(groups, ", "))
			}
		}
		if re.SubexpIndex("loss") < 0 && re.SubexpIndex("eval_loss") < 0 {
			return nil, fmt.Errorf("log pattern %q: it has neither a group (?P<loss>…) nor (?P<eval_loss>…)", p)
		}
		out = append(out, re)
	}
	return out, nil
}

// Resume says that the program begins again at a step, in a new attempt: what was logged after
// that step is forgotten.
func (p *Parser) Resume(step int) {
	p.log.Steps = slices.DeleteFunc(p.log.Steps, func(s lm.TuneStep) bool { return s.Step > step })
	p.last, p.eval = step, nil
	if step == 0 {
		p.base = nil
	}
}

// Log is what has been read so far.
func (p *Parser) Log() lm.TuneLog {
	log := p.log
	log.Steps = slices.Clone(log.Steps)
	if p.base != nil {
		log.EvalLossBase = *p.base
	}
	if p.eval != nil {
		log.EvalLoss = *p.eval
	}
	return log
}

// Line reads one line; ok tells whether it said anything. Lines that tqdm overwrites with a
// carriage return are lines too.
func (p *Parser) Line(line string) (e Event, ok bool) {
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if x, said := p.part(part); said {
			e, ok = merge(e, x), true
		}
	}
	return e, ok
}

func merge(a, b Event) Event {
	if b.Train == nil {
		b.Train = a.Train
	}
	if b.EvalLoss == nil {
		b.EvalLoss = a.EvalLoss
	}
	return b
}

func (p *Parser) part(line string) (Event, bool) {
	for _, re := range p.Patterns {
		if m := re.FindStringSubmatch(line); m != nil {
			values := map[string]float64{}
			for i, name := range re.SubexpNames() {
				if v, err := strconv.ParseFloat(m[i], 64); name != "" && err == nil {
					values[name] = v
				}
			}
			if e, ok := p.values(values); ok {
				return e, true
			}
		}
	}
	if values := dictionary(line); values != nil {
		if e, ok := p.values(values); ok {
			return e, true
		}
	}
	if m := bar.FindStringSubmatch(line); m != nil {
		step, err1 := strconv.Atoi(m[1])
		total, err2 := strconv.Atoi(m[2])
		// Programs draw other bars too, of files and of rows: the steps are those whose total the
		// log has told, or nothing is known yet and the bar only says that something moves.
		if err1 == nil && err2 == nil && total == p.total && step >= p.last && step <= total {
			return Event{Step: step, Steps: total}, true
		}
	}
	return Event{}, false
}

// bar is tqdm's counter, as in " 7%|▋ | 12/185 [00:31<07:29,  2.60s/it]".
var bar = regexp.MustCompile(`(\d+)/(\d+) \[`)

// Total tells the parser how many steps there are, so that it knows their bar among others.
func (p *Parser) Total(steps int) { p.total = steps }

// values takes what a line says under the names of groups.
func (p *Parser) values(v map[string]float64) (Event, bool) {
	loss, train := v["loss"]
	eval, held := v["eval_loss"]
	if base, ok := v["eval_loss_base"]; ok {
		p.base = &base
	}
	if !train && !held {
		return Event{}, false
	}
	if total, ok := v["total"]; ok && total >= 1 && total < 1<<40 {
		p.total = int(total)
	}
	step, told := v["step"]
	if told && !(step >= 0 && step < 1<<40) {
		told = false
	}
	e := Event{Steps: p.total}
	switch {
	case train && told:
		e.Step = int(step)
	case train:
		e.Step = p.last + max(p.Every, 1)
	default:
		e.Step = p.last
	}
	if train {
		s := lm.TuneStep{Step: e.Step, Loss: loss, LearningRate: v["lr"], GradNorm: v["grad_norm"]}
		p.log.Steps = append(slices.DeleteFunc(p.log.Steps, func(x lm.TuneStep) bool { return x.Step >= s.Step }), s)
		p.last, e.Train = e.Step, &s
	}
	if held {
		e.EvalLoss = &eval
		if len(p.log.Steps) == 0 && p.base == nil {
			p.base = &eval
		} else {
			p.eval = &eval
		}
	}
	return e, true
}

// names are the spellings of a value in the formats above.
var names = map[string]string{
	"loss": "loss", "step": "step", "global_step": "step", "current_steps": "step", "total_steps": "total", "max_steps": "total", "steps": "total",
	"learning_rate": "lr", "lr": "lr", "grad_norm": "grad_norm", "eval_loss": "eval_loss", "eval_loss_base": "eval_loss_base",
}

// dictionary is the numbers of the first object in a line that is JSON or a Python dictionary
// of plain values; nil if there is none.
func dictionary(line string) map[string]float64 {
	from, to := strings.IndexByte(line, '{'), strings.LastIndexByte(line, '}')
	if from < 0 || to < from {
		return nil
	}
	text := line[from : to+1]
	var raw map[string]any
	if json.Unmarshal([]byte(text), &raw) != nil {
		if raw = python(text); raw == nil {
			return nil
		}
	}
	values := map[string]float64{}
	for name, x := range raw {
		to, ok := names[name]
		if !ok {
			continue
		}
		switch x := x.(type) {
		case float64:
			values[to] = x
		case string: // some versions of transformers print numbers as strings
			if v, err := strconv.ParseFloat(x, 64); err == nil {
				values[to] = v
			}
		}
	}
	return values
}

// entry is 'name': value in a Python dictionary.
var entry = regexp.MustCompile(`'([\w/.() -]+)': ('[^']*'|[^,{}]+)`)

// python reads a dictionary as Python prints it, with NaN as nan and infinity as inf.
func python(text string) map[string]any {
	raw := map[string]any{}
	for _, m := range entry.FindAllStringSubmatch(text, -1) {
		value := strings.Trim(strings.TrimSpace(m[2]), "'")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			raw[m[1]] = v
		}
	}
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// Finite tells whether every loss of a log is a number, and every norm too: transformers prints
// the last good loss in the place of NaN unless it is told not to.
func Finite(log lm.TuneLog) bool {
	bad := func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
	for _, s := range log.Steps {
		if bad(s.Loss) || math.IsNaN(s.GradNorm) {
			return false
		}
	}
	return !bad(log.EvalLoss) && !bad(log.EvalLossBase)
}
