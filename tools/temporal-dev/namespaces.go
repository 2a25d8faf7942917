package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// startTime is how long a server may take until it answers, on a machine that does much else.
const startTime = 4 * time.Minute

// attribute is a search attribute.
type attribute struct {
	name string
	kind enums.IndexedValueType
}

func parseAttributes(list string) (all []attribute, err error) {
	if list == "" {
		return nil, nil
	}
	for _, item := range strings.Split(list, ",") {
		name, kind, ok := strings.Cut(item, "=")
		k, err := enums.IndexedValueTypeFromString(kind)
		if !ok || name == "" || err != nil {
			return nil, fmt.Errorf("--search-attribute: %q is not NAME=TYPE", item)
		}
		all = append(all, attribute{name, k})
	}
	return all, nil
}

// register makes the namespaces and attributes that are not there, through the server's own
// interface, and returns when the server answers in each namespace.
func (s *server) register(ctx context.Context, namespaces []string, attributes []attribute) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, name := range namespaces {
		if err := register(ctx, conn, name, attributes); err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	return nil
}

func register(ctx context.Context, conn *grpc.ClientConn, namespace string, attributes []attribute) error {
	workflows, operator := workflowservice.NewWorkflowServiceClient(conn), operatorservice.NewOperatorServiceClient(conn)
	_, err := workflows.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(7 * 24 * time.Hour)})
	var exists *serviceerror.NamespaceAlreadyExists
	if err := serviceerror.FromStatus(status.Convert(err)); err != nil && !errors.As(err, &exists) {
		return err
	}
	if err := answers(ctx, workflows, namespace); err != nil {
		return err
	}
	have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	want := make(map[string]enums.IndexedValueType)
	for _, a := range attributes {
		kind, ok := have.GetCustomAttributes()[a.name]
		if ok && kind != a.kind {
			return fmt.Errorf("search attribute %s is there as %s, not %s", a.name, kind, a.kind)
		}
		if !ok {
			want[a.name] = a.kind
		}
	}
	if len(want) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: want})
	return err
}

// answers waits until the server knows the namespace for workflows too.
func answers(ctx context.Context, c workflowservice.WorkflowServiceClient, namespace string) error {
	for {
		_, err := c.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, PageSize: 1})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
