package dataset

import (
	"stargate"
)

// Set is a user's data as its files hold it, before it is dealt to splits.
type Set struct {
	Tasks         []stargate.Task
	Personas      []stargate.Persona
	TaskSplits    Given // nil: tasks are dealt
	PersonaSplits Given // nil: personas are dealt
	Gold          Gold
	Reasons       Reasons // why Gold excludes pairs, where the file says so
	Dropped       Dropouts
}

// Dropouts are the entries of a set's files that were left out.
type Dropouts struct {
	Tasks    []Dropped `json:"tasks,omitempty"`
	Personas []Dropped `json:"personas,omitempty"`
}

// Deal makes the splits of a run; see [MakeGiven].
func (s Set) Deal(seed uint64, sizes Sizes) (Splits, error) {
	return MakeGiven(seed, sizes, s.TaskSplits, s.PersonaSplits, s.Tasks, s.Personas, s.Gold)
}

// DealOpen is Deal where gold responses may still have to be made: a pair that Gold does not
// know is in its split with an empty one. What [Splits.WithoutGold] lists then goes into Gold,
// and Deal makes the splits of the run.
func (s Set) DealOpen(seed uint64, sizes Sizes) (Splits, error) {
	return makeGiven(seed, sizes, s.TaskSplits, s.PersonaSplits, s.Tasks, s.Personas, s.Gold, true)
}

// ReadTasks adds the tasks of a file called name.
func (s *Set) ReadTasks(name string, data []byte) (err error) {
	if s.Tasks, s.Dropped.Tasks, err = Tasks(name, data); err != nil {
		return err
	}
	s.TaskSplits, err = GivenTasks(name, data)
	return err
}

// ReadPersonas adds the personas of a file called name; names as in [Personas].
func (s *Set) ReadPersonas(name string, data []byte, names []string) (err error) {
	if s.Personas, s.Dropped.Personas, err = Personas(name, data, names); err != nil {
		return err
	}
	s.PersonaSplits, err = GivenPersonas(name, data)
	return err
}

// ReadGold adds the gold responses of a file called name.
func (s *Set) ReadGold(name string, data []byte) (err error) {
	if s.Gold, err = ReadGold(name, data); err != nil {
		return err
	}
	s.Reasons, err = ReadReasons(name, data)
	return err
}

// AddGold puts in the gold response of a pair; or, where text is empty, why it has none.
func (s *Set) AddGold(t stargate.Task, u stargate.Persona, text, reason string) {
	if s.Gold == nil {
		s.Gold, s.Reasons = Gold{}, Reasons{}
	}
	key := goldKey(t.ID, u.ID)
	s.Gold[key] = text
	if text == "" {
		s.Reasons[key] = reason
	}
}

// Reasons are why pairs are excluded, under the keys of [Gold].
type Reasons map[string]string

// ReadReasons reads the reasons of a file that [ReadGold] reads.
func ReadReasons(name string, data []byte) (Reasons, error) {
	if _, ok := authorsGold(name, data); ok {
		return nil, nil // that layout has no place for them
	}
	reasons := Reasons{}
	err := eachRecord(name, data, func(r record) error {
		if reason, _ := r.get("excluded"); reason != "" {
			task, _ := r.get(goldTaskFields...)
			persona, _ := r.get(goldPersonaFields...)
			reasons[goldKey(task, persona)] = reason
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reasons, nil
}

// Of is why a pair is excluded, or "".
func (r Reasons) Of(t stargate.Task, u stargate.Persona) string {
	reason, _ := find(r, t, u)
	return reason
}
