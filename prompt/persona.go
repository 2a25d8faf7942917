package prompt

import (
	"errors"

	"stargate/lm"
)

// Persona asks for a new persona in the manner of seeds, profiles that the user gives
// (PROTOCOL §2: two drawn from 21). initial, if not "", is the letter the name shall begin
// with. This template builds data and takes no part in a run: [Set.Digests] leaves it out.
func (s *Set) Persona(seeds []string, initial string) (lm.Chat, error) {
	if len(seeds) == 0 {
		return nil, errors.New("prompt persona: no seed profile")
	}
	text, err := s.render(personaFile, struct {
		Seeds   []string
		Initial string
	}{seeds, initial})
	return lm.Chat{{Role: lm.User, Content: text}}, err
}

const personaFile = "persona"
