package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// The search attributes, which [Connection.RegisterAttributes] makes known to the server. They
// are never encrypted.
var (
	attributeRun   = temporal.NewSearchAttributeKeyKeyword("StargateRun")
	attributeStage = temporal.NewSearchAttributeKeyKeyword("StargateStage")
	attributePairs = temporal.NewSearchAttributeKeyInt64("StargatePairs")
)

// ErrAttributes: the namespace does not know the search attributes.
var ErrAttributes = errors.New("search attributes")

// RegisterAttributes makes the search attributes known to the namespace, and tells whether it
// did. Those that are known stay. Where this client may not do so it is left to operators, who
// may have done it: [Control.Start] fails with [ErrAttributes] otherwise.
func (c Connection) RegisterAttributes(ctx context.Context, t client.Client) (bool, error) {
	o, err := c.options()
	if err != nil {
		return false, err
	}
	_, err = t.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: o.Namespace, SearchAttributes: map[string]enumspb.IndexedValueType{
			attributeRun.GetName(): attributeRun.GetValueType(), attributeStage.GetName(): attributeStage.GetValueType(), attributePairs.GetName(): attributePairs.GetValueType(),
		},
	})
	_, there := errors.AsType[*serviceerror.AlreadyExists](err)
	_, absent := errors.AsType[*serviceerror.Unimplemented](err)
	switch {
	case err == nil || there:
		return true, nil
	case absent || errors.Is(refusal(err), ErrRefused):
		slog.Warn("search attributes cannot be registered from here; an operator has to have done it", "error", err)
		return false, nil
	}
	return false, fmt.Errorf("register the %w: %w", ErrAttributes, err)
}

// knownTime is how long a server may take to know what was registered: each of its processes
// looks once a minute.
const knownTime = 2 * time.Minute

// StartRegistered is [Control.Start] for a run whose search attributes were just registered.
func (c *Control) StartRegistered(ctx context.Context, p Plan) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.Start(ctx, p)
		if err != nil && !errors.Is(err, ErrAttributes) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(knownTime))
	return err
}

// unknownAttributes explains that a run could not begin since the namespace does not know the
// search attributes, or knows them as something else. It is nil for other errors.
func unknownAttributes(err error) error {
	if _, ok := errors.AsType[*serviceerror.InvalidArgument](err); !ok || !strings.Contains(err.Error(), "Stargate") {
		return nil
	}
	var flags, pairs string
	for _, a := range []temporal.SearchAttributeKey{attributeRun, attributeStage, attributePairs} {
		flags += fmt.Sprintf(" --name %s --type %s", a.GetName(), a.GetValueType())
		pairs += fmt.Sprintf(" --search-attribute %s=%s", a.GetName(), a.GetValueType())
	}
	return fmt.Errorf("%w: %w; an operator registers them with: temporal operator search-attribute create%s (Temporal Cloud: tcld namespace search-attributes add%s), each with the --namespace; or leave --search-attributes out",
		ErrAttributes, err, flags, pairs)
}
