"""The untuned base's embeddings: unit vectors, means over tokens, padding and order without a part in them."""

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from tasks.learning.embedding import embed_texts, unit_rows


def test_embeddings_are_the_normalised_means_of_the_bases_own_tokens(bert_folder):
    texts = ["a card was lost", "rates", "a card was lost", "the rate of the card is a rate"]
    points = embed_texts(bert_folder, texts, 16, "fp32")
    tokenizer, model = AutoTokenizer.from_pretrained(bert_folder), AutoModel.from_pretrained(bert_folder).eval()
    with torch.inference_mode():
        alone = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state.mean(1)[0].numpy() for text in texts]
    assert np.allclose(points, unit_rows(np.stack(alone)), atol=1e-5)
    assert np.array_equal(points[0], points[2]) and np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-6)
    assert len(embed_texts(bert_folder, [], 16, "fp32")) == 0


def test_a_row_of_zeros_stays_what_it_is():
    assert unit_rows(np.array([[0, 0], [3, 4]], dtype=np.float32)).tolist() == [[0, 0], [np.float32(0.6), np.float32(0.8)]]
