// Package hub brings models from the Hugging Face Hub, or a server that speaks its routes,
// into the cache that the Hub's own Python client uses, and finds them there again. A model
// pulled by either is found by both.
//
//	settings, err := hub.FromEnv(os.Getenv)
//	name, err := hub.ParseName("HuggingFaceTB/SmolLM2-135M-Instruct")
//	snapshot, err := hub.Pull(ctx, name, hub.Options{Settings: settings})
//	dir, err := hub.Resolve("HuggingFaceTB/SmolLM2-135M-Instruct") // no network
//
// # Routes
//
// GET /api/models/{repo}/revision/{revision}?blobs=true tells the commit and its files.
// HEAD /{repo}/resolve/{commit}/{file} tells a file's ETag (X-Linked-Etag for a large file),
// size and commit; GET of the same route gives its bytes, for a large file after a redirect
// to another host, which never sees the token.
//
// # Cache
//
//	models--ORG--NAME/refs/REVISION           the commit of a branch or tag
//	models--ORG--NAME/blobs/ETAG              bytes, once
//	models--ORG--NAME/blobs/ETAG.incomplete   the beginning of a file
//	models--ORG--NAME/snapshots/COMMIT/FILE   a relative link to the blob
//	.locks/models--ORG--NAME/ETAG.lock        held while a blob is written
//
// A blob appears whole and checked or not at all: SHA-256 for a large file, the SHA-1 of a
// git blob for others. A ref is written last, so a name means the former snapshot until the
// new one is complete.
//
// Sources: https://huggingface.co/docs/huggingface_hub/guides/manage-cache,
// https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables and
// the behaviour of huggingface_hub's file_download and _snapshot_download.
package hub
