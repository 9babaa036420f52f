"""The store: one Milvus collection of images. Only this package imports pymilvus."""
