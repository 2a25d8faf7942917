package cluster

import (
	"context"
	"errors"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

// Encrypt makes a client encrypt what it sends with the codec's first key, texts and stacks of
// failures included.
func Encrypt(o *client.Options, codec *Codec) {
	o.DataConverter = converted{converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)}
	o.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: o.DataConverter, EncodeCommonAttributes: codec.first != ""})
}

// converted is a converter that knows whether it works for a workflow.
type converted struct{ converter.DataConverter }

var _ converter.ContextAware = converted{}

// WithWorkflowContext implements [converter.ContextAware].
func (c converted) WithWorkflowContext(converter.WorkflowContext) converter.DataConverter {
	return inWorkflow{c.DataConverter}
}

// WithContext implements [converter.ContextAware].
func (c converted) WithContext(context.Context) converter.DataConverter { return c }

// inWorkflow panics where a payload cannot be decrypted. The SDK ends a workflow for good whose
// input it cannot read, and the workflow's code would do so with a result; but that this worker
// lacks a key says nothing of the run. After a panic the server hands the task to workers again,
// until one has the key.
type inWorkflow struct{ converter.DataConverter }

func (c inWorkflow) FromPayload(p *commonpb.Payload, to any) error {
	return blocked(c.DataConverter.FromPayload(p, to), to)
}

func (c inWorkflow) FromPayloads(p *commonpb.Payloads, to ...any) error {
	return blocked(c.DataConverter.FromPayloads(p, to...), to...)
}

func blocked(err error, to ...any) error {
	if !errors.Is(err, ErrCodec) {
		return err
	}
	for _, t := range to {
		if _, signal := t.(*bool); signal { // whoever sent it lacks the key, not the worker: it is dropped
			return err
		}
	}
	panic(fmt.Sprintf("this worker cannot read the run: %v", err))
}

// said is the text of a failure, decrypted if it was encrypted.
func said(data converter.DataConverter, f *failurepb.Failure) string {
	if f.GetEncodedAttributes() != nil {
		var text struct {
			Message string `json:"message"`
		}
		if err := data.FromPayload(f.GetEncodedAttributes(), &text); err != nil {
			return fmt.Sprintf("a failure that cannot be read: %v", err)
		}
		f = proto.Clone(f).(*failurepb.Failure)
		f.Message = text.Message
	}
	return f.GetMessage()
}
