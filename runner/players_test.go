package runner

import (
	"errors"
	"testing"
)

// An error says once which role it is about.
func TestErrorsNameTheRoleOnce(t *testing.T) {
	for _, c := range []struct{ role, name, err, want string }{
		{"roles: roleplayer 1", "roleplayer 1", "roleplayer 1: http://gpu1 has been away for 1m", "roles: roleplayer 1: http://gpu1 has been away for 1m"},
		{"roles: roleplayer 1", "roleplayer 1", "role: model: the server has no m", "roles: roleplayer 1: role: model: the server has no m"},
		{"model gpt", "model gpt", "model gpt: gave up", "model gpt: gave up"},
		{"model gpt", "model gpt", "the key is refused", "model gpt: the key is refused"},
	} {
		inner := errors.New(c.err)
		got := placed(c.role, c.name, inner)
		if got.Error() != c.want || !errors.Is(got, inner) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
