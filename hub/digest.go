package hub

import (
	"crypto/sha1" // git names blobs so; it guards against damage, not against an enemy
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"regexp"
)

// digest is a checksum in hexadecimal: 64 digits are the SHA-256 of the bytes (large files),
// 40 digits the SHA-1 of a git blob: "blob", a space, the length, a zero byte, the bytes.
type digest string

var (
	isSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)
	isSHA1   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// valid tells whether the text can be a digest; other ETags say nothing about the bytes.
func (d digest) valid() bool { return isSHA256.MatchString(string(d)) || isSHA1.MatchString(string(d)) }

// summer computes a digest of the same kind over size bytes.
func (d digest) summer(size int64) hash.Hash {
	if isSHA256.MatchString(string(d)) {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", size)
	return h
}

func sumOf(h hash.Hash) digest { return digest(hex.EncodeToString(h.Sum(nil))) }
