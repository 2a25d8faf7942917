package build

import (
	"context"

	"stargate/lm"
)

// Ask is one request that a build will make.
type Ask struct {
	Key      string // the slot or pair and the number of the draw, for people
	Chat     lm.Chat
	Sampling lm.Sampling
}

// Ahead answers requests before the build makes them, many at once: a batch API fills the
// ledger behind the model that the build then asks. It returns when they are answered; one
// that stays unanswered is simply asked, and fails or is made then.
type Ahead func(ctx context.Context, asks []Ask) error

// Progress tells how far a build is.
type Progress struct {
	Stage string // "personas, draw 2", "gold responses"
	Done  int
	Total int
}
