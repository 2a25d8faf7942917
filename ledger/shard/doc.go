// Package shard keeps what does not fit a database in Parquet files: conversations of 10⁷
// pairs and more, and the texts of the calls they were made of.
//
// # Vocabulary
//
//   - A stage is one fan-out over pairs, named by a path: "it1/simulate".
//   - A shard is a file of rows that belong to whole pairs, numbered from 0 within its stage:
//     it1/simulate/shard-000007.parquet. It is Parquet with Zstandard, so DuckDB, Spark,
//     pandas and Arrow read it (docs/shards.md).
//   - A row is a [Conversation] or a [Call].
//   - A [Store] is where the shards of a run are: a folder, or a prefix of an S3 bucket.
//   - A shard is published: written whole, and only if its name is free. Who comes second
//     with the same content has done no harm; with another content it is [ErrConflict],
//     because a shard is a function of its stage and number.
//   - A [Directory] is published as it is, file by file: a model, under its digest.
//   - A [Manifest] lists the shards of a finished stage in order, with their digests.
//
// # Use
//
// A worker calls [Publish] for its shard and hands the [Entry] on, which is all that others
// need to know; [Inspect] finds the entry of a shard that an earlier attempt published.
// When all are there, [Seal] writes the manifest. [Rows] reads a stage back in order, one
// shard in memory at a time, each checked against its digest before its first row is given.
//
// [Offload] moves the bodies of calls from a ledger into a shard, and a [Shelf] lets that
// ledger read them again.
package shard
