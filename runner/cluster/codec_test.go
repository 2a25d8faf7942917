package cluster

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func codec(t *testing.T, keys ...[]byte) *Codec {
	t.Helper()
	c, err := NewCodec(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCodec(t *testing.T) {
	plain := []*commonpb.Payload{
		{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`{"run":"paper"}`)},
		{Metadata: map[string][]byte{"encoding": []byte("binary/null")}},
	}
	old, next := codec(t, key(1)), codec(t, key(2), key(1))
	sealed, err := old.Encode(plain)
	if err != nil {
		t.Fatal(err)
	}
	again, err := old.Encode(plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed[0].Data, []byte("paper")) || bytes.Equal(sealed[0].Data, again[0].Data) {
		t.Error("the text can be seen, or the same text twice")
	}
	// Who has a new key still reads what was written before; and what was never encrypted.
	for name, in := range map[string][]*commonpb.Payload{"encrypted": sealed, "plain": plain} {
		got, err := next.Decode(in)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(plain, got, protocmp.Transform()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	changed := proto.Clone(sealed[0]).(*commonpb.Payload)
	changed.Data[len(changed.Data)-1] ^= 1
	short := proto.Clone(sealed[0]).(*commonpb.Payload)
	short.Data = short.Data[:3]
	for name, c := range map[string]struct {
		codec *Codec
		in    *commonpb.Payload
	}{"another key": {codec(t, key(3)), sealed[0]}, "changed": {old, changed}, "cut short": {old, short}} {
		if _, err := c.codec.Decode([]*commonpb.Payload{c.in}); !errors.Is(err, ErrCodec) {
			t.Errorf("%s: got %v, want %v", name, err, ErrCodec)
		}
	}
}

func TestCodecKeys(t *testing.T) {
	if _, err := NewCodec(); err == nil {
		t.Error("no key was enough")
	}
	if _, err := NewCodec([]byte("short")); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
}
