package cluster

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// ErrCodec: a payload cannot be decrypted.
var ErrCodec = errors.New("encrypted payload")

// Codec encrypts everything that Temporal stores for a run, but search attributes, with
// AES-256-GCM. Conversations never go through Temporal; what does are names of runs, counts,
// and texts of errors. The zero Codec has no keys: it encrypts nothing, and says of what is
// encrypted that keys are wanted.
type Codec struct {
	first string // the key that encrypts
	keys  map[string]cipher.AEAD
}

var _ converter.PayloadCodec = (*Codec)(nil)

// What an encrypted payload says of itself.
const (
	codecEncoding = "binary/encrypted"
	codecKey      = "encryption-key-id"
)

// NewCodec makes a codec of keys of 32 bytes. The first encrypts; all decrypt, so that a new
// key can be put before the old ones.
func NewCodec(keys ...[]byte) (*Codec, error) {
	c := &Codec{keys: map[string]cipher.AEAD{}}
	for i, k := range keys {
		if len(k) != 32 {
			return nil, fmt.Errorf("encryption key %d: %d bytes, want 32", i+1, len(k))
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(k)
		id := hex.EncodeToString(sum[:6])
		c.keys[id] = aead
		if c.first == "" {
			c.first = id
		}
	}
	if c.first == "" {
		return nil, errors.New("encryption: there is no key")
	}
	return c, nil
}

// ReadCodec reads keys from a file: one a line, 32 bytes in base64; lines that begin with #
// are skipped.
func ReadCodec(path string) (*Codec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("encryption keys: %w", err)
	}
	var keys [][]byte
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: a key is 32 bytes in base64 (openssl rand -base64 32)", path, i+1)
		}
		keys = append(keys, k)
	}
	c, err := NewCodec(keys...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Encode implements [converter.PayloadCodec].
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if c.first == "" {
		return payloads, nil
	}
	out := make([]*commonpb.Payload, len(payloads))
	aead := c.keys[c.first]
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encrypt: %w", err)
		}
		nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
		rand.Read(nonce)
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(codecEncoding), codecKey: []byte(c.first)},
			Data:     aead.Seal(nonce, nonce, plain, []byte(c.first)),
		}
	}
	return out, nil
}

// Decode implements [converter.PayloadCodec]. What is not encrypted passes as it is.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.Metadata[converter.MetadataEncoding]) != codecEncoding {
			out[i] = p
			continue
		}
		id := string(p.Metadata[codecKey])
		aead, ok := c.keys[id]
		if !ok {
			return nil, c.unknown(id)
		}
		if len(p.Data) < aead.NonceSize() {
			return nil, fmt.Errorf("%w: it is cut short", ErrCodec)
		}
		plain, err := aead.Open(nil, p.Data[:aead.NonceSize()], p.Data[aead.NonceSize():], []byte(id))
		if err != nil {
			return nil, fmt.Errorf("%w: it was changed, or encrypted with another key", ErrCodec)
		}
		out[i] = new(commonpb.Payload)
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCodec, err)
		}
	}
	return out, nil
}

// unknown is the error about a payload whose key is not here.
func (c *Codec) unknown(id string) error {
	if c.first == "" {
		return fmt.Errorf("%w: give --payload-keys with its key %s (the ID is how the SHA-256 of a key begins)", ErrCodec, id)
	}
	return fmt.Errorf("%w: its key %s is not among those of --payload-keys (%s; the ID is how the SHA-256 of a key begins)",
		ErrCodec, id, strings.Join(slices.Sorted(maps.Keys(c.keys)), ", "))
}
