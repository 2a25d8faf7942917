package build

// PersonaReport says how the slots were filled and what the personas cover.
type PersonaReport struct {
	Asked    int            `json:"asked"` // slots
	Filled   int            `json:"filled"`
	Splits   map[string]int `json:"splits"`
	Draws    int            `json:"draws"`           // of all slots
	Flaws    map[Flaw]int   `json:"flaws,omitempty"` // of draws that were not taken
	Open     []OpenSlot     `json:"open"`            // slots without a persona
	Coverage Coverage       `json:"coverage"`
}

// OpenSlot is a slot whose draws are used up.
type OpenSlot struct {
	ID    string `json:"id"`
	Flaws []Flaw `json:"flaws"` // of its draws, in order
}

func personaReport(slots []*slot, personas []Persona) *PersonaReport {
	r := &PersonaReport{Asked: len(slots), Filled: len(personas), Splits: map[string]int{}, Flaws: map[Flaw]int{}, Open: []OpenSlot{}}
	for _, s := range slots {
		r.Draws += len(s.flaws)
		for _, f := range s.flaws {
			r.Flaws[f]++
		}
		if !s.done {
			r.Open = append(r.Open, OpenSlot{s.ID, s.flaws})
			continue
		}
		r.Draws++
		r.Splits[s.Split]++
	}
	r.Coverage = Cover(personas)
	return r
}
