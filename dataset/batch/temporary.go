package batch

import (
	"errors"

	"stargate/lm/remote"
)

// temporary says whether the server may take the same request later.
func temporary(err error) bool {
	var status *remote.StatusError
	return errors.As(err, &status) && status.Temporary()
}
