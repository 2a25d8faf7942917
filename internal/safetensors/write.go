package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// Tensor is one tensor to write.
type Tensor struct {
	Name  string
	Shape []int // empty for a scalar; the elements are in row-major order
	DType DType // what Data is rounded to
	Data  []float32
}

// Write writes tensors in their order, with the metadata transformers asks for. The same
// tensors give the same bytes.
func Write(w io.Writer, tensors []Tensor) error { return WriteMetadata(w, tensors, nil) }

// WriteMetadata is Write with further metadata; "format" is "pt" unless given.
func WriteMetadata(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, err := headerOf(tensors, metadata)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("safetensors: header: %w", err)
	}
	buffer := make([]byte, 0, bufferSize)
	for _, t := range tensors {
		for rest := t.Data; len(rest) > 0; {
			n := min(len(rest), bufferSize/4)
			buffer = appendElements(buffer[:0], t.DType, rest[:n])
			if _, err := w.Write(buffer); err != nil {
				return fmt.Errorf("safetensors: tensor %s: %w", t.Name, err)
			}
			rest = rest[n:]
		}
	}
	return nil
}

const bufferSize = 1 << 18

// headerOf is the length and the header, padded so that the tensors begin at a multiple of
// eight bytes.
func headerOf(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	all := map[string]string{"format": "pt"}
	maps.Copy(all, metadata)
	var header bytes.Buffer
	header.Write(make([]byte, 8))
	field := func(name string, value any) error {
		key, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		text, err := json.Marshal(value) // maps in the order of their keys
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		header.WriteString(map[bool]string{true: "{", false: ","}[header.Len() == 8])
		header.Write(key)
		header.WriteByte(':')
		header.Write(text)
		return nil
	}
	if err := field(metadataKey, all); err != nil {
		return nil, err
	}
	offset := int64(0)
	seen := map[string]bool{metadataKey: true}
	for _, t := range tensors {
		n := 1
		for _, d := range t.Shape {
			n *= max(d, 0)
		}
		switch {
		case seen[t.Name]:
			return nil, fmt.Errorf("two tensors, or the metadata, have the name %q", t.Name)
		case n != len(t.Data) || len(t.Shape) > 0 && slices.Min(t.Shape) < 0 || t.DType.size() == 0:
			return nil, fmt.Errorf("tensor %s of shape %v and type %q has %d elements", t.Name, t.Shape, t.DType, len(t.Data))
		}
		seen[t.Name] = true
		end := offset + int64(n*t.DType.size())
		if err := field(t.Name, entry{t.DType, append([]int{}, t.Shape...), [2]int64{offset, end}}); err != nil {
			return nil, err
		}
		offset = end
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	out := header.Bytes()
	binary.LittleEndian.PutUint64(out, uint64(len(out)-8))
	return out, nil
}

func appendElements(b []byte, d DType, data []float32) []byte {
	switch d {
	case F32:
		for _, x := range data {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	case F16:
		for _, x := range data {
			b = binary.LittleEndian.AppendUint16(b, ToF16(x))
		}
	case BF16:
		for _, x := range data {
			b = binary.LittleEndian.AppendUint16(b, ToBF16(x))
		}
	}
	return b
}
